"""The work of bench_driver.py in bytewax 0.21: ``python -m bytewax.run app_bytewax``, told by BOOTSTRAP and EVENTS."""

from __future__ import annotations

import os
from typing import Any

import bytewax.operators as op
import orjson
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource
from bytewax.dataflow import Dataflow
from meter import Meter

meter = Meter(int(os.environ["EVENTS"]))
brokers = [os.environ["BOOTSTRAP"]]


def check(messages: list[Any]) -> list[Any]:
    found = [m for m in messages if orjson.loads(m.value)["event"]["action"] == "EXPORT"]
    meter.alerts += len(found)
    if meter.add(len(messages)):
        meter.finish()
    return [KafkaSinkMessage(key=b"k", value=m.value) for m in found]


flow = Dataflow("bench")
stream = op.input("in", flow, KafkaSource(brokers, ["work"], starting_offset=-2, batch_size=1000))
op.output("out", op.flat_map_batch("check", stream, check), KafkaSink(brokers, "alerts"))
