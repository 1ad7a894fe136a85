#!/usr/bin/env python3
"""Adds up the JUnit reports below a folder and prints 'N passed, N failed'.

A GoogleTest program leaves a report of its own, named as ctest names the
program; then its cases are counted, and ctest's word only if the program failed
without a failed case (a crash). Exits with 1 where a test failed or none ran.
"""

import pathlib
import sys
import xml.etree.ElementTree as ElementTree


def cases(report):
    """(name, outcome) of each test in one report."""
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        bad = case.find("failure") is not None or case.find("error") is not None
        skipped = (case.find("skipped") is not None
                   or case.get("status") in ("notrun", "disabled") or case.get("result") == "skipped")
        yield case.get("name"), "failed" if bad else "skipped" if skipped else "passed"


def main(folder):
    count = {"passed": 0, "failed": 0, "skipped": 0}
    for report in sorted(folder.rglob("*.xml")):
        for name, outcome in cases(report):
            program = report.parent / "programs" / f"{name}.xml"
            if report.name == "ctest.xml" and program.exists():
                explained = any(inner == "failed" for _, inner in cases(program))
                if outcome != "failed" or explained:
                    continue
            count[outcome] += 1
    if count["skipped"]:
        print(f"{count['skipped']} skipped")
    print(f"{count['passed']} passed, {count['failed']} failed")
    return 1 if count["failed"] or not count["passed"] else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
