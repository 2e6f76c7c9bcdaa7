"""`python -m benchmarks.jmeter [--users N] [--seconds S]`: runs transfers.jmx without a window, and prints the figures.

JMeter comes from Maven Central by a pinned list (jars.txt) and runs on the JRE of the local broker. The plan runs
against any installation: `jmeter -n -t transfers.jmx` with -J and host, port, users, seconds, password, and for each
user, counted from 1, username.1, account.1 and payee.1.
"""

import csv
import shutil
import subprocess
import tempfile
import zipfile
from collections import defaultdict
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.gateway.figures import Figure, percentile, table
from benchmarks.gateway.installation import PASSWORD, Target, arguments, behind_a_gateway
from benchmarks.machine import machine
from millrace.environment.brokers.java import find_java
from millrace.environment.downloads import fetch_all, parse_pinned_list
from millrace.environment.layout import cache_of
from runtime.settings import Settings

_PLAN = files("benchmarks.jmeter")
_GRACE_S = 120


def main() -> None:
    """Exits 1 where a call failed."""
    chosen = arguments("python -m benchmarks.jmeter", __doc__)
    before = machine()
    with tempfile.TemporaryDirectory(prefix="jmeter-") as folder, behind_a_gateway(chosen.users) as target:
        jmeter = _installed(Path(folder))
        figures = _run(jmeter, target, chosen.seconds)
    print(table(figures, before))  # noqa: T201 - the result of the command
    if not figures or any(one.failures for one in figures):
        raise SystemExit(1)


def _installed(folder: Path) -> Path:
    """The layout that JMeter starts from: links to the jars of the cache, and the defaults of its own."""
    settings = Settings()
    repository = cache_of(settings) / "maven"
    jars = parse_pinned_list((_PLAN / "jars.txt").read_text())
    fetch_all(jars, settings.maven_url, repository)
    for name in ("bin", "lib", "lib/ext", "lib/junit"):
        (folder / name).mkdir()
    for jar in (repository / jar.path for jar in jars):
        if jar.name.startswith("ApacheJMeter-"):  # looks for the others from where it lies itself
            shutil.copyfile(jar, folder / "bin" / "ApacheJMeter.jar")
            continue
        (folder / ("lib/ext" if jar.name.startswith("ApacheJMeter_") else "lib") / jar.name).symlink_to(jar)
        if jar.name.startswith("ApacheJMeter_config"):
            with zipfile.ZipFile(jar) as packed:
                packed.extractall(folder, [name for name in packed.namelist() if name.startswith("bin/")])
    return folder


def _run(jmeter: Path, target: Target, seconds: int) -> list[Figure]:
    address, results = urlsplit(target.url), jmeter / "results.csv"
    properties = {"host": address.hostname, "port": address.port, "users": len(target.payers), "seconds": seconds}
    properties |= {"password": PASSWORD}
    for number, payer in enumerate(target.payers, 1):
        properties |= {f"{name}.{number}": value for name, value in payer._asdict().items()}
    command = [str(find_java().executable), "-Xms256m", "-Xmx512m", "-jar", str(jmeter / "bin" / "ApacheJMeter.jar")]
    command += ["-n", "-t", str(_PLAN / "transfers.jmx"), "-l", str(results), "-j", str(jmeter / "jmeter.log")]
    done = subprocess.run(
        command + [f"-J{name}={value}" for name, value in properties.items()],
        capture_output=True,
        text=True,
        timeout=seconds + _GRACE_S,
        check=False,
    )
    if done.returncode or not results.exists():
        raise SystemExit(f"JMeter: {done.stdout[-2_000:]}{done.stderr[-2_000:]}")
    return _figures(results)


def _figures(results: Path) -> list[Figure]:
    elapsed: dict[str, list[int]] = defaultdict(list)
    failures: dict[str, int] = defaultdict(int)
    moments: list[int] = []
    with results.open() as rows:
        for row in csv.DictReader(rows):
            elapsed[row["label"]].append(int(row["elapsed"]))
            failures[row["label"]] += row["success"] != "true"
            moments.append(int(row["timeStamp"]))
    seconds = max(1, (max(moments) - min(moments)) / 1_000) if moments else 1
    return [_figure(name, sorted(values), failures[name], seconds) for name, values in elapsed.items()]


def _figure(name: str, ordered: list[int], failures: int, seconds: float) -> Figure:
    shares = (percentile(ordered, share) for share in (0.5, 0.95, 0.99))
    return Figure(name, len(ordered), failures, len(ordered) / seconds, *shares)


if __name__ == "__main__":
    main()
