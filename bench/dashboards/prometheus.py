"""A Prometheus of its own, the system's or Debian's, that scrapes one address each second; and what it answers."""

from __future__ import annotations

import json
import shutil
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from programs import CHECKOUT, program

from penstock_common.testing.ports import free_port

RULES = (CHECKOUT / "deploy" / "prometheus" / "alerts.yaml", CHECKOUT / "deploy" / "prometheus" / "slo.yaml")
_READY_SECONDS = 60.0
_ANSWER_SECONDS = 30.0

Series: TypeAlias = tuple[dict[str, str], list[tuple[float, float]]]
"""Labels, and values by time."""


class NotUnderstood(Exception):
    """Prometheus refused a query; the message is its own."""


@dataclass(frozen=True)
class Prometheus:
    """One that runs."""

    address: str

    def range(self, query: str, since: float, until: float, step: float) -> list[Series]:
        """Return the series of a query over a time.

        Raises:
            NotUnderstood: if it is refused.
        """
        asked = {"query": query, "start": f"{since:.3f}", "end": f"{until:.3f}", "step": f"{step:.3f}"}
        found = self._ask("query_range", asked)["result"]
        return [(each["metric"], [(at, float(value)) for at, value in each["values"]]) for each in found]

    def exemplars(self, query: str, since: float, until: float) -> list[str]:
        """Return the traces that explain what a query selects."""
        found = self._ask("query_exemplars", {"query": query, "start": f"{since:.3f}", "end": f"{until:.3f}"})
        return [exemplar["labels"]["trace_id"] for series in found for exemplar in series["exemplars"]]

    def is_ready(self) -> bool:
        """Whether it answers."""
        with suppress(OSError), urllib.request.urlopen(f"{self.address}/-/ready", timeout=_ANSWER_SECONDS):
            return True
        return False

    def _ask(self, what: str, asked: dict[str, str]) -> Any:
        url = f"{self.address}/api/v1/{what}"
        try:
            with urllib.request.urlopen(url, urllib.parse.urlencode(asked).encode(), _ANSWER_SECONDS) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise NotUnderstood(json.load(error)["error"]) from None


@contextmanager
def scraping(target: str, folder: Path) -> Generator[Prometheus]:
    """Yield a Prometheus that scrapes ``target`` with the rules of deploy/prometheus, its data in ``folder``."""
    folder.mkdir(parents=True)
    scrape = {
        "job_name": "penstock",
        "static_configs": [{"targets": [target], "labels": {"role": "gateway"}}],
    }
    document = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(path) for path in RULES],
        "scrape_configs": [scrape],
    }
    config = folder / "prometheus.yaml"
    config.write_text(json.dumps(document))  # which is YAML, too
    port = free_port()
    command = [
        str(_executable(folder)), f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}", "--enable-feature=exemplar-storage",
    ]  # fmt: skip
    with program(command, folder / "run") as started:
        prometheus = Prometheus(f"http://127.0.0.1:{port}")
        started.wait_until(prometheus.is_ready, _READY_SECONDS)
        yield prometheus


def _executable(folder: Path) -> Path:
    installed = shutil.which("prometheus")
    if installed is not None:
        return Path(installed)
    sys.path.insert(0, str(CHECKOUT / "tests" / "deploy"))
    from image_roots import debian_package  # pyright: ignore[reportMissingImports] - of the tests

    (folder / "debian").mkdir()
    return debian_package("prometheus", folder / "debian") / "usr" / "bin" / "prometheus"


def panels_of(path: Path) -> tuple[str, Sequence[dict[str, Any]]]:
    """Return a dashboard's title, and its panels."""
    dashboard = json.loads(path.read_text())
    return dashboard["title"], dashboard["panels"]
