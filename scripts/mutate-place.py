#!/usr/bin/env python3
"""Takes one rule after another out of the residency machine: each must make a seed fail.

Works on a copy of the tree. Usage: scripts/mutate-place.py [--seeds N] [NAME...]
Exits with 1 when a rule's absence goes unnoticed. tests/place_mutations_test.py checks that
every line that is replaced here is still there.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
PLACE = pathlib.Path("src/place")

# Name of the rule: file, its code, the code without it.
MUTATIONS = {
    "the whole of a demand must fit before anything is evicted": (
        "residency_room.cc", "const bool impossible = !room.FitsEver(bytes) || !may_evict;",
        "const bool impossible = !may_evict;"),
    "what fits when others have ended is waited for": (
        "residency_room.cc", "const bool impossible = !room.FitsEver(bytes) || !may_evict;",
        "const bool impossible = !room.FitsNow(bytes) || !may_evict;"),
    "a fill starts when the memory is free": (
        "residency_room.cc",
        "row.bytes == ByteCount() || TakenAt(state_, row.place) + row.bytes <= place.limit;",
        "true;"),
    "what is being released still counts": (
        "room.cc", "if (row.place == place && row.state != RowState::kWaiting) taken += row.bytes;",
        "if (row.place == place && row.state == RowState::kReady) taken += row.bytes;"),
    "promises are kept only within the limit": (
        "residency_room.cc", "if (IsOver(state_, id)) RevokePromises(id);", ""),
    "a limit that was lowered evicts": (
        "residency_room.cc", "      Evict(*step, id, RequestId());", "      break;"),
    "what is leased is not evicted": (
        "room.cc",
        "if (uses_.contains(row.id) || row.leases + row.dependants > 0) return false;\n",
        "if (uses_.contains(row.id) || row.dependants > 0) return false;\n"
        "    if (when_ == When::kNow && row.leases > 0) return row.state == RowState::kReady;\n"),
    "what a shared placement uses is not evicted": (
        "room.cc", "row.leases + row.dependants > 0) return false;",
        "row.leases > 0) return false;\n    if (row.dependants > 0) return true;"),
    "a demand's own rows do not leave for it": (
        "room.cc", "if (uses_.contains(row.id) || row.leases", "if (row.leases"),
    "what must stay is not evicted": (
        "room.cc", "return group.retention != Retention::kKept &&", "return"),
    "pinned is kept": ("retention.cc", "if (settings.pinned || settings.keep.count() > 0)",
                       "if (settings.keep.count() > 0)"),
    "a source is held while it is read": (
        "row_table.cc", "  if (row.source) ++HoldOf(row, rows_.at(*row.source));\n",
        "  if (row.source) ++rows_.at(*row.source).readers;\n"
        "  if (row.source) --rows_.at(*row.source).readers;\n"),
    "a fill waits for its source": (
        "residency_room.cc",
        "if (row.source && state_.rows.Find(*row.source)->state != RowState::kReady) return false;",
        ""),
    "a demand of replaced files fails": (
        "residency_models.cc",
        "demand = used.model == snapshot.model && used.revision != snapshot.revision",
        "demand = used.name.empty()"),
    "a demand of an old revision is refused": (
        "residency_clients.cc", "if (model->snapshot->revision != snapshot.revision) {",
        "if (false) {"),
    "contents are one only when their bytes are equal": (
        "residency_tiers.cc", "if (!event.equal || row.content == with.content) return;",
        "if (row.content == with.content) return;"),
    "reports of a released fill count no more": (
        "residency_tiers.cc",
        "return row != nullptr && row->state == RowState::kFilling ? row : nullptr;",
        "return row;"),
    "a failed load takes only what nothing else needs": (
        "residency_room.cc",
        "if (row.state == RowState::kReleasing || row.held() || IsDesired(state_, row)) continue;",
        "if (row.state == RowState::kReleasing || row.held()) continue;"),
    "what nothing needs is released": ("residency.cc", "    ReleaseUnneeded();\n", ""),
    "a client that leaves withdraws its demands": (
        "residency_clients.cc", "demand = demand->what.session == event.session",
        "demand = demand->what.session == SessionId()"),
    "a client's leases end with it": (
        "residency_clients.cc",
        "for (const LeaseId lease : state_.leases.OfSession(event.session)) On(LeaseEnded{lease});",
        ""),
    "unload drops one model's desire alone": (
        "residency_clients.cc", "for (const DesireKey& key : keys) state_.desires.Erase(key);",
        "for (const DesireKey& key : keys) {\n"
        "    const auto component = state_.desires.Find(key)->component;\n"
        "    if (!component) continue;\n"
        "    const auto others = state_.desires.For(*component);\n"
        "    for (const DesireKey& other : others) state_.desires.Erase(other);\n"
        "  }"),
    "a leased placement is not unloaded": (
        "residency_clients.cc", "if (!answer.blockers.empty()) {", "if (false) {"),
    "what a worker has lost is filled again": ("residency.cc", "    Refill();\n", ""),
    "what a device lost is noticed": (
        "residency_tiers.cc",
        "for (const PlacementId id : lost) Lose(*state_.rows.Find(id), why);", ""),
    "demands for a dead worker fail": (
        "residency_tiers.cc", "  FailDemandsFor(row.id, why);\n  // What clients have mapped",
        "  // What clients have mapped"),
    "a superseded row that is ready first returns": (
        "residency_tiers.cc", "  ReinstateSuperseded();\n  if (!row->visible) return;\n",
        "  if (!row->visible) return;\n"),
    "a superseded row returns when the other has left": (
        "residency.cc", "    ReinstateSuperseded();\n", ""),
    "a leased twin keeps what is evicted desired": (
        "residency_room.cc", "  ReinstateSuperseded();\n", ""),
    "what was not written is written again": (
        "residency_models.cc", "  state_.desires.SetDirty(rows);\n", ""),
    "one write at a time": (
        "residency_models.cc", "if (!state_.writing.empty() || waits ||", "if (waits ||"),
    "a damaged compressed form leaves": (
        "residency_tiers.cc",
        "  state_.rows.Hide(*state_.rows.Find(*row.source), ReleaseReason::kFailed);\n", ""),
    "a desire that failed says why": ("residency_tiers.cc", "  desire.why = why;\n", ""),
    "a plan goes on until the demand is answered": (
        "plan.cc", "        next.push_back(Released{release->placement});\n", ""),
}


def copy_tree(target):
    for name in ("CMakeLists.txt", "CMakePresets.json", "cmake", "proto", "src", "include", "apps",
                 "tests", "fuzz", "examples"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name)
        else:
            shutil.copy2(source, target / name)


def build(tree):
    command = ["cmake", "--build", "build/dev", "--target", "place_test", "--", "--quiet"]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)


def noticed(tree, seeds):
    """The first line that names a failing seed or test, or how else the run ended; nothing if it passed."""
    environment = dict(os.environ, WARMSET_SEEDS=str(seeds))
    try:
        run = subprocess.run(["build/dev/src/place/place_test", "--gtest_brief=1"], cwd=tree,
                             env=environment, capture_output=True, text=True, timeout=120,
                             check=False)
    except subprocess.TimeoutExpired:
        return "it does not end"
    if run.returncode == 0:
        return None
    named = [line for line in run.stdout.splitlines()
             if "WARMSET_SEED=" in line or line.startswith("[  FAILED  ] Residency")]
    return named[0].strip() if named else f"the test ends with {run.returncode}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1500)
    parser.add_argument("names", nargs="*", help="parts of the rules' names; none: all")
    arguments = parser.parse_args()
    unnoticed = []
    with tempfile.TemporaryDirectory(prefix="warmset-mutate-") as folder:
        tree = pathlib.Path(folder)
        copy_tree(tree)
        os.environ.update(CCACHE_NOHASHDIR="1", CCACHE_BASEDIR=folder)
        subprocess.run(["cmake", "--preset", "dev"], cwd=tree, stdout=subprocess.DEVNULL, check=True)
        for name, (file, old, new) in MUTATIONS.items():
            if arguments.names and not any(part in name for part in arguments.names):
                continue
            path = tree / PLACE / file
            text = path.read_text()
            assert text.count(old) == 1, f"{name}: {file} does not have that code once"
            path.write_text(text.replace(old, new))
            built = build(tree)
            found = noticed(tree, arguments.seeds) if built.returncode == 0 else None
            path.write_text(text)
            print(f"{name}\n    {found or built.stdout[-2000:] or 'NOT NOTICED'}", flush=True)
            if not found:
                unnoticed.append(name)
    print(f"{len(unnoticed)} of the rules can be taken out unnoticed: {unnoticed}")
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main())
