"""What the benchmark refuses, what it prints, and what it keeps in its file."""

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks import small
from tests.benchmarks.__main__ import main
from tests.benchmarks.contestants import CONTESTANTS, OURS, Contestant
from tests.benchmarks.kept import Kept
from tests.benchmarks.report import about, text

README = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")


# ---- what is asked for --------------------------------------------------------------------------


@pytest.mark.parametrize(("arguments", "message"), [
    (["--workloads", "disk, batch 1"], "--workloads expects names that are known; got 'disk, batch"
                                       " 1'. Did you mean 'disc, batch 1'"),
    (["--contestants", "keras"], "--contestants expects names that are known; got 'keras'."),
    (["--contestants", "plain torch"], "expects 'kerasish' among them: the others are compared "
                                       "with it; got 'plain torch'."),
    (["--parts", "memories"], "--parts expects names that are known; got 'memories'. Did you mean "
                              "'memory'"),
    (["--rounds", "3"], "--rounds expects 4 or more, for quartiles; got 3."),
    (["--threads", "0"], "--threads expects 1 or more; got 0."),
    (["--seconds", "nan"], "--seconds expects more than 0; got nan."),
    (["--json", "nowhere/x.json"], "--json expects a file in a folder that exists; got 'nowhere/"),
    (["--picture", "nowhere/x.png"], "--picture expects a file in a folder that exists; got"),
    (["--picture", "x.bars"], "--picture expects a name that ends in .png, .svg or .pdf; got 'x.b"),
    (["--show", "nowhere.json"], "--show expects a file that --json has written; got 'nowhere."),
    (["--show", "README.md"], "--show expects a file that --json has written; got 'README.md'."),
    (["--show", "tests/data"], "--show expects a file that --json has written; got 'tests/data'."),
    (["--json", "README.md"], "--json expects a file that --json has written; got 'README.md'."),
], ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_wrong_arguments_are_refused_at_once(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert message in capsys.readouterr().err and ended.value.code == 2


# ---- what is told -------------------------------------------------------------------------------

REPORT: dict[str, Any] = {
    "about": {"date": "2026-11-26", "machine": "2 cores of X", "vectors": "Y", "rounds": 7,
              "seconds": 0.4,
              "threads": 1, "quick": False, "python": "3.11.7", "versions": {"torch": "2.13.0"}},
    "workloads": {"LSTM": {
        OURS: {"median": 1500.0, "first": 0.1, "loss": 2.3},
        "plain torch": {"median": 3000.0, "first": 2.5, "loss": 2.31, "ratio": 2.0,
                        "ratio_low": 1.5, "ratio_high": 3.5},
        "torch tuned": {"median": 750.0, "first": 0.1, "loss": 2.29, "ratio": 0.5,
                        "ratio_low": 0.4, "ratio_high": 0.6},
        "skorch": {"absent": "needs skorch"}}},
    "memory": {"LSTM": {OURS: 3_000_000, "torch tuned": 4_000_000}},
    "import": {"torch": 1.0, "kerasish": 1.04, "ratio": 1.04, "ratio_low": 1.0, "ratio_high": 1.1},
}


def test_the_report_says_all_of_it() -> None:
    assert text(REPORT).splitlines() == [
        "2026-11-26, 2 cores of X with Y, one thread; Python 3.11.7, torch 2.13.0; "
        "medians of 7 alternating rounds",
        "", "Time of a step over kerasish's: above 1, kerasish is faster",
        "(± half the width of the middle half of rounds)",
        "      plain torch  torch tuned",
        "LSTM    2.00 ±50%    0.50 ±20%",
        "", "Milliseconds a step, median; in brackets seconds of the first epoch, which compiles",
        "      kerasish  plain torch  torch tuned",
        "LSTM      1.50   3.00 (2.5)         0.75",
        "", "Mean loss of the first epoch: all train the same, in orders of their own",
        "LSTM: 2.290 to 2.310",
        "", "Not measured (-)", "skorch: needs skorch",
        "", "Peak of live tensor bytes in a step, MB, and its share of torch tuned's",
        "        kerasish  torch tuned", "LSTM  3.0 (0.75)   4.0 (1.00)",
        "", "import kerasish 1.04 s, import torch 1.00 s: ratio 1.040 [1.000-1.100]",
    ]


def test_an_earlier_report_is_shown_and_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept, picture = tmp_path / "a.json", tmp_path / "a.png"
    kept.write_text(json.dumps(REPORT))
    assert main(["--show", str(kept), "--picture", str(picture)]) == 0
    assert capsys.readouterr().out == text(REPORT) + "\n"
    assert picture.read_bytes().startswith(b"\x89PNG")


def asked(**more: Any) -> argparse.Namespace:
    return argparse.Namespace(**{"rounds": 7, "seconds": 0.4, "threads": 1, "quick": False} | more)


def test_runs_with_one_file_add_up_in_the_order_of_the_table(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    first = Kept(about(asked()), path)
    first.add("workloads", "LSTM", {OURS: {"median": 1.0}})
    first.set("import", {"ratio": 1.0})
    second = Kept(about(asked()) | {"date": "2030-01-01"}, path)
    second.add("workloads", "disc, batch 1", {OURS: {"median": 2.0}})
    second.add("workloads", "LSTM", {OURS: {"median": 3.0}})
    second.add("memory", "LSTM", {OURS: 5})
    report = json.loads(path.read_text())
    assert list(report["workloads"]) == ["disc, batch 1", "LSTM"]
    assert report["workloads"]["LSTM"] == {OURS: {"median": 3.0}}
    assert report["import"] == {"ratio": 1.0} and report["about"]["date"] == "2030-01-01"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("setting", [{"threads": 2}, {"quick": True}, {"seconds": 1.0}], ids=str)
def test_what_was_measured_otherwise_is_not_added_to(tmp_path: Path, setting: Any) -> None:
    path = tmp_path / "a.json"
    Kept(about(asked()), path).set("import", {"ratio": 1.0})
    kept, (name, value) = path.read_text(), *setting.items()
    wanted = f"same machine, versions and settings; got one with {name} .*, not {value!r}. Name ano"
    with pytest.raises(ValueError, match=wanted):
        Kept(about(asked(**setting)), path)
    assert path.read_text() == kept


def test_a_run_measures_what_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CONTESTANTS, "skorch", Contestant("skorch_fit", ("skorch_of_old",)))
    path = tmp_path / "a.json"
    assert main(["--quick", "--workloads", "disc, batch 1", "Transformer", "--contestants", OURS,
                 "bare loop", "skorch", "--parts", "steps", "memory", "--json", str(path)]) == 0
    report, printed = json.loads(path.read_text()), capsys.readouterr()
    assert printed.out == text(report) + "\n"
    assert "skorch: needs skorch_of_old: pip install 'kerasish[bench]'" in printed.out
    assert list(report["workloads"]) == ["disc, batch 1", "Transformer"]
    assert set(report["workloads"]["Transformer"]) == {OURS, "bare loop", "skorch"}
    assert report["workloads"]["Transformer"]["bare loop"]["ratio"] > 0
    assert list(report["memory"]) == ["Transformer"] and "import" not in report
    assert "Transformer: round 4 of 4" in printed.err


def test_the_readme_shows_the_report_that_the_small_benchmark_goes_by() -> None:
    assert text(small.shown()) in README
