"""`python -m benchmarks statements`: transactions of a generated camt.054 a second, and the peak of memory.

The file is written first (100,000 transactions are 37 MB); what is measured is the reader alone and then the whole of
`millrace statements parse --json`, in seconds of this process's CPU, because the machine may be shared.
"""

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.machine import machine
from benchmarks.reconciliation.database import peak_mib, show
from reconciliation.statements.parse import opened, read
from reconciliation.statements.spool import Spool

_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?><Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.054.001.10">'
    "<BkToCstmrDbtCdtNtfctn><GrpHdr><MsgId>1</MsgId></GrpHdr><Ntfctn><Id>1</Id>"
    "<Acct><Id><IBAN>LT809872649478701594</IBAN></Id><Ccy>EUR</Ccy></Acct>"
    '<Ntry><Amt Ccy="EUR">{total}</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts>INFO</Sts><NtryDtls>'
)
_TRANSACTION = (
    '<TxDtls><Refs><TxId>{number}</TxId></Refs><Amt Ccy="EUR">50.12</Amt><CdtDbtInd>CRDT</CdtDbtInd><RltdAgts>'
    "<DbtrAgt><FinInstnId><BICFI>ABNAFRF6CPC</BICFI></FinInstnId></DbtrAgt>"
    "<CdtrAgt><FinInstnId><BICFI>DEUTBEB4NDX</BICFI></FinInstnId></CdtrAgt></RltdAgts><RltdDts>"
    "<AccptncDtTm>2024-03-07T04:08:25</AccptncDtTm><IntrBkSttlmDt>2024-03-07</IntrBkSttlmDt></RltdDts></TxDtls>"
)
_TAIL = "</NtryDtls></Ntry></Ntfctn></BkToCstmrDbtCdtNtfctn></Document>"
_AMOUNT_MINOR = 5_012


def write(path: Path, transactions: int) -> None:
    """A notification whose entry is the sum of its transactions."""
    whole, cents = divmod(transactions * _AMOUNT_MINOR, 100)
    with path.open("w", encoding="utf-8") as stream:
        stream.write(_HEAD.format(total=f"{whole}.{cents:02}"))
        for number in range(transactions):
            stream.write(_TRANSACTION.format(number=number))
        stream.write(_TAIL)


def reader_rate(path: Path, transactions: int) -> int:
    """Transactions a CPU second, from bytes to typed lines."""
    file = opened(path)
    start = time.process_time()
    events = sum(1 for _ in file.events)
    assert events == transactions + 1, "every transaction is a line, and there is one statement"
    return round(transactions / (time.process_time() - start))


def command_rate(path: Path, transactions: int) -> int:
    """Transactions a CPU second, from a file to its JSON, both passes over the bytes included."""
    start = time.process_time()
    with Spool() as spool:
        assert not read(opened(path), spool.add_line, spool.add_statement), "the file has no bad line"
        written = sum(len(piece) for piece in spool.json())
    assert written > transactions * 100, "the lines are in the JSON"
    return round(transactions / (time.process_time() - start))


def main(arguments: list[str]) -> None:
    """Print the best of some runs, as a busy machine only ever makes one slower."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks statements", description=__doc__)
    parser.add_argument("--transactions", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="as everything here is printed")
    asked = parser.parse_args(arguments)
    before = machine()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "camt054.xml"
        write(path, asked.transactions)
        figures = {
            "transactions": asked.transactions,
            "megabytes": round(path.stat().st_size / 1e6),
            "reader_per_cpu_s": max(reader_rate(path, asked.transactions) for _ in range(asked.times)),
            "file_to_json_per_cpu_s": max(command_rate(path, asked.transactions) for _ in range(asked.times)),
            "peak_mib": peak_mib(),
        }
    show(figures, before)
