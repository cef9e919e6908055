"""Faust, as every worker has it, and how much it hands over at once."""

from __future__ import annotations

from typing import Final

from streams.feeding import Limits
from streams.handlers import FLUSH_BATCHES
from streams.settings import Settings
from streams.transport import BatchApp

__all__ = ["BLOCKS", "INPUT", "RECORDS", "faust_app"]


#: What a lane takes at once, and batches of it that may wait: their bytes are most of a worker's memory. Ingest is done
#: with each batch at once; other steps take several until they flush, and one more may wait. A block is up to 100 kB
#: where much arrives, and as small as one record where little does; a backlog of small ones is taken by the hundred.
INPUT: Final = Limits(records=500, bytes=0, batches=2)
BLOCKS: Final = Limits(records=200, bytes=384 * 1024, batches=FLUSH_BATCHES + 1)
RECORDS: Final = Limits(records=500, bytes=0, batches=FLUSH_BATCHES + 1)

#: Milliseconds between two looks of a consumer at which topics there are; the default is five minutes. A broker that
#: has just started leaves topics out of its answer; a group that joins by that answer holds nothing of them until the
#: next look, which makes it join again.
TOPICS_AGE: Final = 10_000


def faust_app(settings: Settings) -> BatchApp:
    """The app of one worker process, which connects nowhere before it is started."""
    return BatchApp(
        settings.application,
        broker=[f"aiokafka://{server}" for server in settings.kafka.split(",")],
        broker_credentials=settings.security.faust(),
        store="memory://",
        datadir=str(settings.home / "faust"),
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        topic_partitions=settings.partitions,
        broker_session_timeout=settings.session_timeout,
        broker_heartbeat_interval=min(3.0, settings.session_timeout / 3),
        broker_commit_interval=1.0,
        consumer_max_fetch_size=512 * 1024,
        consumer_auto_offset_reset="earliest",
        consumer_metadata_max_age_ms=TOPICS_AGE,
        stream_wait_empty=False,
    )
