"""Java archives by a lock file: every one is named with its SHA-256, fetched once by jgo, and kept for offline starts.

A file in the cache is either whole and what the lock says, or is not there: downloads land beside it, are checked, then
renamed. So an interrupted, damaged or forged download costs another download, never a broken server. Two processes may
fetch at once.

``python -m streams.embedded.jars GROUP:ARTIFACT:VERSION... [--without GROUP[:ARTIFACT]]...`` prints a new lock.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

__all__ = ["EmbeddedError", "cache_folder", "fetch_jars", "lock_jars"]

_ATTEMPTS = 3
_PARALLEL = 6
_TIMEOUT = 30  # seconds without an answer


class EmbeddedError(Exception):
    """An embedded server cannot run. The message is one sentence for the person at the terminal."""


def cache_folder() -> Path:
    """The user's own cache for what is fetched: ``$XDG_CACHE_HOME/wardwatch``, else ``~/.cache/wardwatch``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path("~/.cache").expanduser()) / "wardwatch"


def fetch_jars(lock: Path, *, say: Callable[[str], None] = lambda _: None, cache: Path | None = None) -> list[Path]:
    """The files that ``lock`` names, in its order, fetched where missing or damaged.

    ``say`` hears about progress, a line at a time, only when something is fetched. Raises EmbeddedError where a file
    cannot be had or is not the one that was locked.
    """
    locked: dict[str, str] = json.loads(lock.read_text(encoding="utf-8"))
    folder = (cache or cache_folder()) / "jars"
    paths = {coordinate: folder / f"{digest[:16]}-{_file_name(coordinate)}" for coordinate, digest in locked.items()}
    missing = [coordinate for coordinate, path in paths.items() if _digest(path) != locked[coordinate]]
    if missing:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _fetch(missing, locked, paths, say)
        except OSError as exc:
            raise EmbeddedError(f"cannot keep fetched files in {folder}: {exc.strerror or exc}") from exc
    return list(paths.values())


def _fetch(missing: Sequence[str], locked: dict[str, str], paths: dict[str, Path], say: Callable[[str], None]) -> None:
    folder = paths[missing[0]].parent
    with tempfile.TemporaryDirectory(dir=folder, prefix="incoming-") as incoming, ThreadPoolExecutor(_PARALLEL) as pool:

        def one(coordinate: str) -> None:
            fetched = _download(coordinate, Path(incoming))
            if _digest(fetched) != locked[coordinate]:
                raise EmbeddedError(
                    f"{coordinate} as fetched is not the file that was locked: the repository or something on the way "
                    "to it changed it; nothing was started"
                )
            fetched.replace(paths[coordinate])

        try:
            for done, _ in enumerate(pool.map(one, missing), start=1):
                if done % 10 == 0 or done == len(missing):
                    say(f"fetched {done} of {len(missing)} files")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _download(coordinate: str, incoming: Path) -> Path:
    """One file, through jgo. Raises EmbeddedError, or OSError where the disk refuses it."""
    import requests  # noqa: PLC0415  # jgo's HTTP client; both only where something is fetched
    from jgo.config import GlobalSettings  # noqa: PLC0415
    from jgo.constants import MAVEN_CENTRAL_URL  # noqa: PLC0415
    from jgo.maven import MavenContext  # noqa: PLC0415

    group, name, version, *classifier = coordinate.split(":")
    context = MavenContext(
        repo_cache=incoming,
        local_repos=[],
        remote_repos={**GlobalSettings.load().repositories, "central": MAVEN_CENTRAL_URL},
        timeout=_TIMEOUT,
    )
    artifact = context.project(group, name).at_version(version).artifact(*classifier)
    for attempt in range(_ATTEMPTS):
        shutil.rmtree(artifact.cached_path.parent, ignore_errors=True)
        try:
            return Path(artifact.resolve())
        except (requests.RequestException, RuntimeError) as exc:
            if attempt == _ATTEMPTS - 1:
                raise EmbeddedError(
                    f"cannot fetch {coordinate} ({type(exc).__name__}): the first start needs a network that reaches "
                    "Maven Central, or a mirror of it named in jgo's configuration; later starts need none"
                ) from exc
    raise AssertionError("unreachable")


def lock_jars(coordinates: Sequence[str], *, without: Sequence[str] = ()) -> dict[str, str]:
    """Everything ``coordinates`` need at run time, each with its SHA-256, to be written as a lock file.

    ``without``: ``group`` or ``group:artifact`` to leave out.
    """
    from jgo.maven import MavenContext, PythonResolver  # noqa: PLC0415
    from jgo.parse import Coordinate  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        context = MavenContext(resolver=PythonResolver(lenient=True), repo_cache=Path(folder), local_repos=[])
        wanted = [context.create_dependency(Coordinate.parse(text)) for text in coordinates]
        inputs, needed = context.resolver.resolve(wanted)
        artifacts = [d.artifact for d in inputs] + [d.artifact for d in needed if d.scope in ("compile", "runtime")]
        locked: dict[str, str] = {}
        for artifact in artifacts:
            if {artifact.groupId, f"{artifact.groupId}:{artifact.artifactId}"} & set(without):
                continue
            parts = [artifact.groupId, artifact.artifactId, artifact.version, artifact.classifier]
            digest = _digest(artifact.resolve())
            assert digest is not None
            locked[":".join(part for part in parts if part)] = digest
    return locked


def _file_name(coordinate: str) -> str:
    return "-".join(coordinate.split(":")[1:]) + ".jar"


def _digest(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:  # not there, or nothing that could be read: fetched anew, which tells what is wrong
        return None


def _main(arguments: list[str]) -> None:
    without: list[str] = []
    while "--without" in arguments:
        at = arguments.index("--without")
        without.append(arguments[at + 1])
        del arguments[at : at + 2]
    print(json.dumps(lock_jars(arguments, without=without), indent=1))


if __name__ == "__main__":
    _main(sys.argv[1:])
