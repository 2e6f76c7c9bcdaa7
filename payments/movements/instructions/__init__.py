"""What callers ask for beyond transfers and deposits: one class per instruction, with only the fields that it needs."""

from payments.movements.instructions.accounts import OpenAccount as OpenAccount
from payments.movements.instructions.accounts import SetStanding as SetStanding
from payments.movements.instructions.commerce import CancelOrder as CancelOrder
from payments.movements.instructions.commerce import Order as Order
from payments.movements.instructions.commerce import PayOut as PayOut
from payments.movements.instructions.commerce import PlaceCheckout as PlaceCheckout
from payments.movements.instructions.commerce import RefundOrder as RefundOrder
from payments.movements.instructions.commerce import SettleAttempt as SettleAttempt
from payments.movements.instructions.deposits import ClearDeposit as ClearDeposit
from payments.movements.instructions.deposits import ReturnDeposit as ReturnDeposit
from payments.movements.instructions.disputes import NoteEvidence as NoteEvidence
from payments.movements.instructions.disputes import OpenDispute as OpenDispute
from payments.movements.instructions.disputes import RecoverReceivable as RecoverReceivable
from payments.movements.instructions.disputes import Refund as Refund
from payments.movements.instructions.disputes import ResolveDispute as ResolveDispute
from payments.movements.instructions.disputes import WriteOff as WriteOff
from payments.movements.instructions.holds import CaptureHold as CaptureHold
from payments.movements.instructions.holds import PlaceHold as PlaceHold
from payments.movements.instructions.holds import RaiseHold as RaiseHold
from payments.movements.instructions.holds import VoidHold as VoidHold
from payments.movements.instructions.instruction import Attributes as Attributes
from payments.movements.instructions.instruction import Envelope as Envelope
from payments.movements.instructions.instruction import Headline as Headline
from payments.movements.instructions.instruction import Instruction as Instruction
from payments.movements.instructions.journals import PostJournal as PostJournal
from payments.movements.instructions.risk import AssessTransfer as AssessTransfer
from payments.movements.instructions.risk import DecideReview as DecideReview
from payments.movements.instructions.risk import SetLimits as SetLimits
from payments.movements.instructions.risk import SetRules as SetRules
from payments.movements.instructions.transfers import AttributedTransfer as AttributedTransfer
from payments.movements.instructions.transfers import PricedTransfer as PricedTransfer
from payments.movements.instructions.transfers import attributed as attributed

INSTRUCTIONS: tuple[type[Instruction], ...] = (
    OpenAccount,
    SetStanding,
    PricedTransfer,
    PlaceHold,
    RaiseHold,
    CaptureHold,
    VoidHold,
    ClearDeposit,
    ReturnDeposit,
    Refund,
    OpenDispute,
    NoteEvidence,
    ResolveDispute,
    RecoverReceivable,
    WriteOff,
    PostJournal,
    SetLimits,
    SetRules,
    DecideReview,
    PlaceCheckout,
    CancelOrder,
    RefundOrder,
    PayOut,
    AttributedTransfer,
    AssessTransfer,
    SettleAttempt,
)
"""Every kind. The name of each is that of its Avro record."""
