"""A plan in a folder, with the rules that it names."""

from pathlib import Path

from reconciliation.nightly.plan import ReadPlan, read_plan
from tests.reconciliation.ledger import RULES

PLAN = """
version: 1
inbox: inbox
reports: reports
nightly:
  - rules: stripe.yaml
    at: "02:30"
    formats: [csv]
    expected: [{source: stripe, name: "payouts-*.csv", by: "02:00"}]
"""


def plan_in(folder: Path, plan: str = PLAN, rules: str = RULES) -> ReadPlan:
    (folder / "stripe.yaml").write_text(rules)
    (folder / "plan.yaml").write_text(plan)
    return read_plan(folder / "plan.yaml")
