"""The parts of the fault suite, tested by themselves: lines, figures, histories, reports."""
