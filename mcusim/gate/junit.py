"""A verdict as JUnit XML, the form in which most build servers read tests."""

from __future__ import annotations

from xml.etree import ElementTree

from mcusim.gate.verdict import Verdict


def junit(verdict: Verdict) -> str:
    """Return one ``testsuite`` with a ``testcase`` a budget.

    A broken budget is a ``failure``, one that could not be planned an ``error``.
    """
    errors = sum(bool(item.error) for item in verdict.outcomes)
    suite = ElementTree.Element(
        "testsuite",
        name="mcusim check", tests=str(len(verdict.outcomes)), errors=str(errors),
        failures=str(len(verdict.wrong) - errors),
    )  # fmt: skip
    for item in verdict.outcomes:
        case = ElementTree.SubElement(
            suite, "testcase", classname=_plain(verdict.path), name=_plain(item.name)
        )
        problems = item.problems(increases=verdict.increases)
        if problems:
            kind = "error" if item.error else "failure"
            ElementTree.SubElement(case, kind, message=_plain(problems[0])).text = _plain("\n".join(problems))
        lines = [
            f"{f.quantity.name} {f.quantity.text(f.figure.value)} ({f.figure.provenance})"
            for f in item.findings
            if f.figure is not None
        ]
        ElementTree.SubElement(case, "system-out").text = _plain("\n".join([item.title, *lines]))
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=False) + "\n"


def _plain(text: str) -> str:
    """Return text without the control characters that no XML may hold."""
    return "".join(c if c in "\n\t" or c >= " " else "?" for c in text)
