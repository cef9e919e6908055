"""A worker that samples itself: ``python profiled_worker.py FILE``. Where its main thread was, by share of CPU."""

from __future__ import annotations

import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType

from streams.settings import Settings
from streams.worker import run

#: Seconds of CPU between two samples.
EVERY = 0.002
#: What a sample is counted under: the first of these functions that its stack is in, from the innermost on.
STAGES = {
    "parse": "read: JSON",
    "normalise": "read: normalise",
    "match": "read: rules",
    "finding": "read: findings",
    "release": "read: allow-list and pseudonyms",
    "encode_event": "write: JSON",
    "_outputs": "write: views",
    "send": "send: group and pack",
    "_deliver": "send: hand to the producer",
    "_send_produce_req": "send: Kafka requests",
    "unpack": "take: unpack blocks",
    "inspect": "take: detectors",
    "fold": "take: marks, ids, state",
    "changes": "flush: dump state",
    "commit": "flush: transaction",
    "getmany": "fetch",
}


class Sampler:
    """Asks where the main thread is, each time the process has used so much CPU."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stages: Counter[str] = Counter()
        self._functions: Counter[str] = Counter()

    def start(self) -> None:
        signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, EVERY, EVERY)

    def _sample(self, number: int, frame: FrameType | None) -> None:
        if frame is not None:
            self._functions[_name(frame)] += 1
            self._stages[self._stage(frame)] += 1

    def _stage(self, frame: FrameType | None) -> str:
        while frame is not None:
            if stage := STAGES.get(frame.f_code.co_name):
                return stage
            frame = frame.f_back
        return "event loop, Faust and the rest"

    def tell(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        total = max(1, self._functions.total())
        lines = [f"{100 * n / total:5.1f} %  {stage}" for stage, n in self._stages.most_common()]
        lines += ["", "by function:"]
        lines += [f"{100 * n / total:5.1f} %  {name}" for name, n in self._functions.most_common(40)]
        self._path.write_text("\n".join(lines) + "\n")


def _name(frame: FrameType) -> str:
    path = Path(frame.f_code.co_filename)
    return f"{path.parent.name}/{path.name} {frame.f_code.co_qualname}"


if __name__ == "__main__":
    sampler = Sampler(Path(sys.argv[1]))
    sampler.start()
    code = run(Settings())
    sampler.tell()
    raise SystemExit(code)
