"""Goal: a start that fails says why in one line, whichever program failed."""

from pathlib import Path

import pytest

from millrace.environment import LocalEnvironment
from millrace.environment.faults import StartFault
from millrace.environment.last_words import last_words
from millrace.environment.layout import Home
from tests.support.environment import throw_away_settings

_PYTHON = """Traceback (most recent call last):
  File "worker.py", line 1, in <module>
ValueError: transaction_timeout_ms must be below session_timeout_ms
"""
_JAVA = """2026-01-02 03:04:05,678 ERROR Exiting Kafka due to fatal exception (kafka.Kafka$)
java.lang.RuntimeException: Stored node id 7 doesn't match previous node id 1
\tat kafka.server.KafkaRaftServer$.initializeLogDirs(KafkaRaftServer.scala:185)
2026-01-02 03:04:05,700 INFO shutting down
"""
_POSTGRES = """2026-01-02 03:04:05.678 UTC [12] FATAL:  could not write lock file: No space left on device
2026-01-02 03:04:05.679 UTC [12] LOG:  database system is shut down
"""


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("one.log", _PYTHON, "ValueError: transaction_timeout_ms must be below session_timeout_ms"),
        ("one.kafka.log", _JAVA, "java.lang.RuntimeException: Stored node id 7 doesn't match previous node id 1"),
        ("one.log", _POSTGRES, "FATAL:  could not write lock file: No space left on device"),
        ("one.log", "just this\n\n", "just this"),
        ("one.log", "", "it printed nothing"),
        ("other.log", "not ours", "it printed nothing"),
    ],
)
def test_the_cause_is_found(tmp_path: Path, file: str, text: str, words: str) -> None:
    home = Home(tmp_path)
    home.logs.mkdir()
    (home.logs / file).write_text(text)
    assert last_words(home, "one").endswith(words)


def test_words_are_cut_to_a_line_one_can_read(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.logs.mkdir()
    home.log("one").write_text("ValueError: " + "x" * 5000)
    assert len(last_words(home, "one")) == 301


def test_a_broker_with_foreign_storage_says_so(tmp_path: Path) -> None:
    settings = throw_away_settings(tmp_path)
    with LocalEnvironment(settings, pipeline=False):
        pass
    storage = Home(tmp_path).broker(1) / "data" / "meta.properties"
    storage.write_text(storage.read_text().replace("node.id=1", "node.id=7"))
    with pytest.raises(StartFault, match=r"broker does not stay up: .*Stored node id 7 doesn't match"):
        LocalEnvironment(settings, pipeline=False).start()


def test_damaged_books_are_reported_and_not_replaced(tmp_path: Path) -> None:
    settings = throw_away_settings(tmp_path)
    with LocalEnvironment(settings, pipeline=False):
        pass
    control = Home(tmp_path).postgres.resolve() / "data" / "global" / "pg_control"
    control.unlink()
    with pytest.raises(StartFault, match="postgres does not stay up"):
        LocalEnvironment(settings, pipeline=False).start()
    assert not control.exists()
