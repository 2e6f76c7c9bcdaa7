"""The Lua of a charter, in a box: no files, processes or time, no way back into Python; bounded steps and memory.

Decimals are tables of Lua around the number's text, with exact arithmetic of 28 digits, as OpenRec's are. Values given
to a script: text, integers (a Datetime is milliseconds since 1970), booleans, decimals.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Context, Decimal, DecimalException, InvalidOperation
from typing import Any, Final

from lupa.lua54 import LuaError, LuaRuntime

from reconciliation.charters.charter import CharterFault, DataType

Value = str | int | bool | Decimal
"""A value of a record. What a column does not have is absent, and nil in a script."""

Lookup = Callable[[str, str, str, str], str]
"""(field, file, where_field, where_value) → the value in that file, "" where there is none."""

MEMORY_MAX_BYTES: Final = 256 * 1024**2
STEPS_MAX: Final = 50_000_000
"""Instructions of one script: about a second."""

_DIGITS: Final = Context(prec=28)
_KEPT = (
    "assert error ipairs math next pairs select string table tonumber tostring type utf8 record records value _VERSION"
)

_PRELUDE = """
local kept, arithmetic, compare, number, lookup_in = ...
local hook, set, meta, G = debug.sethook, setmetatable, getmetatable, _G
for name in pairs(G) do if not kept[name] then G[name] = nil end end
string.dump = nil
function print() end
local D = {}
function decimal(x)
  if meta(x) == "decimal" then return x end
  return set({n = number(tostring(x))}, D)
end
local function operation(name)
  return function(a, b) return set({n = arithmetic(name, decimal(a).n, decimal(b).n)}, D) end
end
D.__add, D.__sub, D.__mul, D.__div = operation("add"), operation("subtract"), operation("multiply"), operation("divide")
D.__unm = function(a) return set({n = arithmetic("subtract", "0", a.n)}, D) end
D.__eq = function(a, b) return compare(a.n, b.n) == 0 end
D.__lt = function(a, b) return compare(decimal(a).n, decimal(b).n) < 0 end
D.__le = function(a, b) return compare(decimal(a).n, decimal(b).n) <= 0 end
D.__concat = function(a, b) return tostring(a) .. tostring(b) end
D.__tostring = function(a) return a.n end
D.__metatable = "decimal"
function abs(x) if compare(decimal(x).n, "0") < 0 then return -decimal(x) end return decimal(x) end
function midnight(ms) local n = math.tointeger(tonumber(ms)); return n - n % 86400000 end
date_only = midnight
lookup = lookup_in

function count(filter, rows)
  local n = 0
  for _, row in ipairs(rows or records) do if filter(row) then n = n + 1 end end
  return n
end
local function folded(start, step)
  return function(field, filter, rows)
    local found = start()
    for _, row in ipairs(rows or records) do if filter(row) then found = step(found, row[field]) end end
    return found
  end
end
local function zero() return decimal(0) end
local function none() return nil end
local function larger(a, b) if a == nil or b > a then return b end return a end
local function smaller(a, b) if a == nil or b < a then return b end return a end
sum = folded(zero, function(a, b) return a + b end)
sum_int = folded(function() return 0 end, function(a, b) return a + b end)
max, max_int, min, min_int = folded(none, larger), folded(none, larger), folded(none, smaller), folded(none, smaller)

return function(chunk, steps)
  hook(function() error("more than " .. steps .. " steps; is there an endless loop?", 0) end, "", steps)
  return (function(...) hook(); return ... end)(chunk())
end, set, D
"""


class Scripts:
    """Runs the scripts of one charter. Not for several threads."""

    def __init__(self, global_lua: str | None, lookup: Lookup) -> None:
        self._lua = LuaRuntime(
            unpack_returned_tuples=True,
            register_eval=False,
            register_builtins=False,
            attribute_filter=_no_attribute,
            max_memory=MEMORY_MAX_BYTES,
        )
        self._globals = self._lua.globals()
        kept = self._lua.table_from(dict.fromkeys(_KEPT.split(), True))
        self._load = self._globals.load
        self._run, self._set, self._decimal = self._lua.execute(_PRELUDE, kept, _arithmetic, _compare, _number, lookup)
        self._chunks: dict[str, Any] = {}
        if global_lua:
            self.run(global_lua)

    def run(self, script: str, **variables: object) -> object:
        """The value of an expression, or the first that a chunk returns. Raises CharterFault with Lua's reason."""
        for name, value in variables.items():
            self._globals[name] = value
        try:
            answer = self._run(self._chunk(script), STEPS_MAX)
        except (LuaError, MemoryError, ValueError, DecimalException) as error:
            raise CharterFault(f"script {_excerpt(script)}: {_first_line(error)}") from error
        return answer[0] if isinstance(answer, tuple) else answer

    def holds(self, script: str, **variables: object) -> bool:
        """As Lua sees it: everything but nil and false is true."""
        answer = self.run(script, **variables)
        return answer is not None and answer is not False

    def value(self, script: str, as_a: DataType, **variables: object) -> Value | None:
        """The answer as a value of a column; None for nil and for an empty text."""
        answer = self.run(script, **variables)
        found = converted(answer, as_a)
        if answer not in (None, "") and found is None:
            raise CharterFault(f"script {_excerpt(script)}: {answer!r} is no {as_a}")
        return found

    def record(self, values: Mapping[str, Value]) -> Any:
        """A table of a record's values."""
        return self._lua.table_from({name: self._lua_value(value) for name, value in values.items()})

    def records(self, rows: Sequence[Mapping[str, Value]]) -> Any:
        """A list of records, from 1 as Lua counts."""
        return self._lua.table_from([self.record(row) for row in rows])

    def _lua_value(self, value: Value) -> Any:
        if isinstance(value, Decimal):
            return self._set(self._lua.table_from({"n": format(value, "f")}), self._decimal)
        return value

    def _chunk(self, script: str) -> Any:
        """An expression where it is one, as OpenRec tries it; else a chunk."""
        found = self._chunks.get(script)
        if found is None:
            found, _ = self._compiled(f"return {script}")
            if found is None:
                found, reason = self._compiled(script)
            if found is None:
                raise CharterFault(f"script {_excerpt(script)}: {reason}")
            self._chunks[script] = found
        return found

    def _compiled(self, text: str) -> tuple[Any, str]:
        answer = self._load(text, "=script", "t")
        return answer if isinstance(answer, tuple) else (answer, "")


def converted(answer: object, as_a: DataType) -> Value | None:
    """What Lua or a file says, as the type of a column; None where it is none of that type."""
    text = _text(answer)
    if text == "":
        return None
    try:
        if as_a is DataType.BOOLEAN:
            return answer if isinstance(answer, bool) else {"1": True, "0": False}.get(text)
        if as_a is DataType.DECIMAL:
            return _bounded(Decimal(text))
        if as_a in (DataType.INTEGER, DataType.DATETIME):
            number = _bounded(Decimal(text))
            return int(number) if number == number.to_integral_value() else None
    except (DecimalException, ValueError):
        return None
    return text


def moment(milliseconds: int) -> str:
    """RFC 3339, as OpenRec writes a Datetime."""
    found = datetime.fromtimestamp(milliseconds // 1_000, UTC)
    return f"{found:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1_000:03}Z"


def _text(answer: object) -> str:
    if answer is None:
        return ""
    if isinstance(answer, str | int | Decimal):
        return str(answer)
    inside = answer["n"] if hasattr(answer, "keys") else None  # type: ignore[index]  # a decimal of the prelude
    return str(answer if inside is None else inside)


def _arithmetic(operation: str, left: str, right: str) -> str:
    found: Decimal = getattr(_DIGITS, operation)(Decimal(left), Decimal(right))
    return format(found, "f")


def _compare(left: str, right: str) -> int:
    return int(Decimal(left).compare(Decimal(right)))


def _number(text: str) -> str:
    try:
        return format(_bounded(Decimal(text.strip())), "f")
    except InvalidOperation:
        raise ValueError(f"decimal({text!r}): no number") from None


def _bounded(number: Decimal) -> Decimal:
    """28 digits before and after the point are enough; 1e999999999 must not become a billion."""
    if not number.is_finite() or not -28 <= number.adjusted() < 28:
        raise ValueError(f"{number} has more digits than money needs")
    return number


def _no_attribute(_: object, name: object, __: bool) -> str:
    raise AttributeError(f"{name}: nothing of Python is known here")


def _excerpt(script: str) -> str:
    line = " ".join(script.split())
    return repr(line if len(line) <= 80 else f"{line[:77]}…")


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else "out of memory"
