"""`python -m benchmarks.statement_files`: transactions of a generated camt.054 a second, and the peak of memory.

The file is written first (100,000 transactions are 37 MB); what is measured is the reader alone and then the whole of
`millrace statements parse --json`, in seconds of this process's CPU, because the machine may be shared.
"""

import resource
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from benchmarks.machine import machine
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


def main(
    transactions: Annotated[int, typer.Option(min=1_000)] = 100_000, times: Annotated[int, typer.Option(min=1)] = 3
) -> None:
    """Print the best of some runs, as a busy machine only ever makes one slower."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "camt054.xml"
        write(path, transactions)
        size_mb = path.stat().st_size / 1e6
        reader = max(reader_rate(path, transactions) for _ in range(times))
        command = max(command_rate(path, transactions) for _ in range(times))
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    typer.echo(f"{machine()}\n{transactions:,} transactions, {size_mb:.0f} MB")
    typer.echo(f"reader {reader:,}/s, file to JSON {command:,}/s, peak {peak_mb:.0f} MB")


if __name__ == "__main__":
    typer.run(main)
