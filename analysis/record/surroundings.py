"""What a result depends on beside the experiment, and how it differs from what it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict

from spaces.problems import printable, shortened

HOST = "host"
_LONGEST = 100


def _writable(text: Any) -> Any:
    """The names of files may hold what no UTF-8 text can; it is written as an escape."""
    return text.encode(errors="backslashreplace").decode() if isinstance(text, str) else text


Text: TypeAlias = Annotated[str, BeforeValidator(_writable)]


class Fingerprint(BaseModel):
    """Of a split of the data: how many samples it has, and the SHA-256 of all of them."""

    model_config = ConfigDict(frozen=True)

    samples: int
    sha256: str


class Surroundings(BaseModel):
    """What a result depends on beside the experiment.

    ``versions``: by package. ``host``: the driver's. ``inputs``: what built-in models take and
    give. ``split``: the fingerprints of their data. ``code``: of the user's own code the SHA-256 of
    each file. None: not known, or there is none.
    """

    model_config = ConfigDict(frozen=True)

    versions: dict[str, str] = {}
    host: str = ""
    inputs: dict[str, Any] | None = None
    split: dict[str, Fingerprint] | None = None
    code: dict[Text, str] | None = None

    @property
    def plain_split(self) -> dict[str, Any] | None:
        """The fingerprints of the data, as plain data."""
        return None if self.split is None else {k: v.model_dump() for k, v in self.split.items()}


class Difference(BaseModel):
    """One thing that is not as it was, in words."""

    model_config = ConfigDict(frozen=True)

    what: Text
    was: Text
    now: Text

    def __str__(self) -> str:
        return printable(f"{self.what}: was {self.was}, now {self.now}")


def differences(was: Surroundings, now: Surroundings) -> list[Difference]:
    """What is not as it was: data first, then code, versions, the host.

    What was not recorded (by an earlier version), or is not known now, is not compared.
    """
    return [*_data(was.split, now.split), *_code(was.code, now.code), *_rest(was, now)]


def _data(
    was: Mapping[str, Fingerprint] | None, now: Mapping[str, Fingerprint] | None
) -> Iterator[Difference]:
    for part, held in (was or {}).items():
        if now is not None and now.get(part) != held:
            yield _difference(f"{part} data", _samples(held), _samples(now.get(part)))


def _samples(held: Fingerprint | None) -> str:
    return "none" if held is None else f"{held.samples:,} samples (SHA-256 {held.sha256[:12]}…)"


def _code(was: Mapping[str, str] | None, now: Mapping[str, str] | None) -> Iterator[Difference]:
    if was is None or now is None:
        return
    for name in dict.fromkeys([*was, *now]):
        if was.get(name) != now.get(name):
            yield _difference(f"code {name}", *(_file(held.get(name)) for held in (was, now)))


def _file(digest: str | None) -> str:
    return "not there" if digest is None else f"SHA-256 {digest[:12]}…"


def _rest(was: Surroundings, now: Surroundings) -> Iterator[Difference]:
    for name, version in was.versions.items():
        if now.versions.get(name) != version:
            yield _difference(name, version, now.versions.get(name, "not installed"))
    if was.host != now.host:
        yield _difference(HOST, was.host, now.host)


def _difference(what: str, was: str, now: str) -> Difference:
    return Difference(what=what, was=shortened(was, _LONGEST), now=shortened(now, _LONGEST))


def are_serious(found: Sequence[Difference]) -> bool:
    """Whether results may differ: another host alone is how clusters work."""
    return any(difference.what != HOST for difference in found)
