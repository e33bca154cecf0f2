"""What a run prints where there is no terminal, word for word."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from jlrun.reporting.recorders.plain import PlainRecorder
from jlrun.reporting.recorders.result_table import result_table
from jlrun.training.recorder import Header, PhaseInfo, PlannedFit, PlannedPhase, Position

RUN = Path("/runs/a")
TRANSFER = {
    "status": "completed",
    "mode": "transfer",
    "seed": 0,
    "test": {"digit": {"loss": 0.25, "accuracy": 0.921, "macro_f1": 0.9}},
    "baselines": {
        "source_only": {"digit": {"accuracy": 0.7}},
        "scratch": {"digit": {"accuracy": 0.898}},
    },
    "gain": {
        "against": "scratch",
        "delta_m_percent": 2.56,
        "per_task": {"digit": 2.56},
        "negative_transfer": [],
    },
    "objective": {"name": "val/mean_score", "value": 0.9134, "direction": "maximize"},
    "selected": {"phase": "finetune", "epoch": 12, "step": 230},
    "cost": {
        "train_seconds": 5.14,
        "samples_per_second": 2100.4,
        "steps": 230,
        "peak_memory_bytes": 412_000_000,
    },
}
CLOSING = """
  selected  finetune, epoch 12 (val/mean_score 0.913)
  cost      5.1 s of training, 2,100 samples/s, 412 MB at most
  results   /runs/a
  curves    jlrun board /runs/a
"""


def plain(every_epoch: bool = False) -> tuple[PlainRecorder, io.TextIOWrapper]:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="\n")
    return PlainRecorder(stream, every_epoch), stream


def printed(stream: io.TextIOWrapper) -> str:
    stream.seek(0)
    return stream.read()


def finished(**changes: Any) -> str:
    recorder, stream = plain()
    recorder.start(Header(RUN, "transfer", "cpu", 1, 1, {}))
    start = len(printed(stream))
    recorder.finish({**TRANSFER, **changes})
    return printed(stream)[start:]


def test_start_shows_what_differs_from_the_defaults() -> None:
    recorder, stream = plain()
    recorder.start(
        Header(
            RUN,
            "transfer",
            "cpu, 2 threads",
            parameters=1_234_567,
            trainable=1_000,
            data={
                "source": {"train": 10_000, "val": 1_000, "test": 1_000},
                "the target": {"train": 50, "val": 50, "test": 360},
            },
            changed={"optimizer.lr": "3e-3", "weighting": "famo"},
            settings={"epochs": 10},
        )
    )
    expected = """\
jlrun transfer
  device   cpu, 2 threads
  model    1,234,567 parameters, 1,000 of them trained
  data     source      10,000 train, 1,000 val, 1,000 test
           the target  50 train, 50 val, 360 test
  changed  optimizer.lr=3e-3
           weighting=famo
  run      /runs/a

"""
    assert printed(stream) == expected


def test_start_is_silent_about_defaults() -> None:
    recorder, stream = plain()
    header = Header(RUN, "multitask", "cpu", 78_410, 78_410, {"digits": {"train": 9}}, resumed=True)
    recorder.start(header)
    expected = """\
jlrun multitask, resumed
  device  cpu
  model   78,410 parameters
  data    digits  9 train
  run     /runs/a

"""
    assert printed(stream) == expected


def train_epochs(recorder: PlainRecorder, epochs: int, last: int, fit: str = "main") -> None:
    recorder.begin_phase(PhaseInfo(fit, "finetune", epochs, 5, first_step=0, start_step=0))
    for epoch in range(1, last + 1):
        summary = {"train/total_loss": 1 / epoch, "val/digit/accuracy": epoch / 100}
        recorder.epoch(Position(fit, "finetune", epoch, 5 * epoch), summary, best=epoch % 2 == 0)
    recorder.end_phase()


def test_epochs_are_thinned_to_ten_lines() -> None:
    recorder, stream = plain()
    train_epochs(recorder, epochs=40, last=40, fit="scratch")
    lines = printed(stream).splitlines()
    assert len(lines) == 10
    assert lines[0] == "scratch: finetune  epoch  4/40  loss 0.250  val digit accuracy 0.040  *"
    assert lines[-1] == "scratch: finetune  epoch 40/40  loss 0.025  val digit accuracy 0.400  *"


def test_every_improvement_of_the_model_is_shown() -> None:
    recorder, stream = plain()
    train_epochs(recorder, epochs=40, last=11)
    numbers = [line.split()[2] for line in printed(stream).splitlines()]
    assert numbers == ["2/40", "4/40", "6/40", "8/40", "10/40", "11/40"]


def test_the_best_epoch_of_a_baseline_is_shown_when_it_is_known() -> None:
    recorder, stream = plain()
    train_epochs(recorder, epochs=40, last=7, fit="scratch")
    numbers = [line.split()[3] for line in printed(stream).splitlines()]
    assert numbers == ["4/40", "6/40", "7/40"]


def test_odd_numbers_of_epochs_end_with_the_last() -> None:
    recorder, stream = plain()
    train_epochs(recorder, epochs=11, last=11, fit="single_task/digit")
    numbers = [line.split()[3] for line in printed(stream).splitlines()]
    assert numbers == ["2/11", "4/11", "6/11", "8/11", "10/11", "11/11"]
    assert printed(stream).startswith("single_task/digit: finetune  epoch  2/11  loss")


def test_what_is_to_be_trained_is_listed() -> None:
    def phases(**epochs: int) -> tuple[PlannedPhase, ...]:
        return tuple(PlannedPhase(name, count, 9 * count) for name, count in epochs.items())

    fits = [
        PlannedFit("main", phases(pretrain=4, finetune=25)),
        *(PlannedFit(f"single_task/{task}", phases(train=20)) for task in ("digit", "parity")),
        *(PlannedFit(f"pairs/{i}", phases(train=9)) for i in range(7)),
    ]
    recorder, stream = plain()
    recorder.start(Header(RUN, "transfer", "cpu", 1, 1, {}, fits=fits))
    expected = """\
  fits    model                        pretrain 4, finetune 25 epochs
          single_task (digit, parity)  20 epochs
          pairs (7 of them)            9 epochs
"""
    assert expected in printed(stream)


def test_one_task_is_not_joint() -> None:
    text = finished(mode="multitask", baselines={}, gain=None)
    assert text.startswith("\ntest            model\ndigit accuracy  0.921\n")


def test_a_table_is_no_wider_than_the_terminal() -> None:
    scores = {"a task with a very long name " * 2: {"accuracy": 0.5}}
    names = [f"baseline_{i}" for i in range(9)]
    result = {
        **TRANSFER,
        "test": scores,
        "baselines": dict.fromkeys(names, scores),
        "gain": {**TRANSFER["gain"], "against": "baseline_4", "per_task": {}},
    }
    for width in (40, 60, 80, 200):
        table = result_table(result, width)
        assert max(map(len, table.lines())) <= width
        assert {"transfer", "baseline_4", "gain"} <= {*table.header}
    assert {*names} <= {*table.header}


def test_every_epoch_for_the_log() -> None:
    recorder, stream = plain(every_epoch=True)
    train_epochs(recorder, epochs=40, last=40)
    assert len(printed(stream).splitlines()) == 40


def test_transfer_that_helps() -> None:
    expected = """
test            transfer  source_only  scratch             gain
digit accuracy     0.921        0.700    0.898  +0.023 (+2.6 %)

Transfer helps: digit accuracy 0.921 vs 0.898 from scratch (+2.6 %).
"""
    assert finished() == expected + CLOSING


def test_multitask_with_negative_transfer() -> None:
    expected = """
test             joint  single_task             gain
digit accuracy   0.960        0.950  +0.010 (+1.1 %)
parity accuracy  0.950        0.962  -0.012 (-1.2 %)
size mae         0.500        0.500   +0.000 (0.0 %)
mean (delta_m)                                 0.0 %

Multi-task learning helps: digit accuracy 0.960 vs 0.950 with its own model (+1.1 %).
No gain: size mae 0.500 vs 0.500 with its own model (0.0 %).
Negative transfer: parity accuracy 0.950 vs 0.962 with its own model (-1.2 %).
"""
    text = finished(
        mode="multitask",
        test={
            "digit": {"accuracy": 0.96},
            "parity": {"accuracy": 0.95},
            "size": {"loss": 2.0, "mae": 0.5},
        },
        baselines={
            "single_task": {
                "digit": {"accuracy": 0.95},
                "parity": {"accuracy": 0.962},
                "size": {"mae": 0.5},
            }
        },
        gain={
            "against": "single_task",
            "delta_m_percent": -0.04,
            "per_task": {"digit": 1.05, "parity": -1.25, "size": -0.01},
            "negative_transfer": ["parity", "size"],
        },
    )
    assert text == expected + CLOSING


def test_many_tasks_are_counted() -> None:
    scores = {task: {"accuracy": 0.5} for task in "abcd"}
    text = finished(
        mode="multitask",
        test=scores,
        baselines={"single_task": scores},
        gain={
            "against": "single_task",
            "delta_m_percent": 0.5,
            "per_task": {"a": 2.0, "b": 3.0, "c": -1.0, "d": -2.0},
            "negative_transfer": ["c", "d"],
        },
    )
    assert "Multi-task learning helps on 2 of 4 tasks: a (+2.0 %), b (+3.0 %).\n" in text
    assert "Negative transfer on 2 of 4 tasks: c (-1.0 %), d (-2.0 %).\n" in text


def test_a_gain_in_the_mean_of_several_metrics_is_no_difference_of_one() -> None:
    expected = """
test               joint  single_task    gain
depth within_1.25  0.500        0.600  +5.0 %

Multi-task learning helps: depth (+5.0 % in the mean of 2 metrics).
"""
    text = finished(
        mode="multitask",
        test={"depth": {"abs_err": 0.9, "within_1.25": 0.5}},
        primary={"depth": "within_1.25"},
        baselines={"single_task": {"depth": {"abs_err": 1.0, "within_1.25": 0.6}}},
        gain={
            "against": "single_task",
            "delta_m_percent": 5.0,
            "per_task": {"depth": 5.0},
            "per_metric": {"depth": {"abs_err": 10.0, "rel_err": 0.0}},
            "negative_transfer": [],
        },
    )
    assert text == expected + CLOSING


def test_multimodal_beside_its_ensemble() -> None:
    expected = """
test            fused  image  audio  ensemble             gain
digit accuracy  0.990  0.970  0.800         -  +0.020 (+2.1 %)

Fusing modalities helps: digit accuracy 0.990 vs 0.970 with image alone (+2.1 %).
Over the ensemble of all single modalities: +0.5 %.
"""
    text = finished(
        mode="multimodal",
        test={"digit": {"accuracy": 0.99}},
        baselines={
            "image": {"digit": {"accuracy": 0.97}},
            "audio": {"digit": {"accuracy": 0.8}},
            "ensemble": {},
        },
        gain={
            "against": "image",
            "delta_m_percent": 2.06,
            "per_task": {"digit": 2.06},
            "negative_transfer": [],
            "over_ensemble": {"delta_m_percent": 0.5},
        },
    )
    assert text == expected + CLOSING


def multimodal(over_ensemble: float, **per_task: float) -> str:
    scores = {task: {"accuracy": 0.9} for task in per_task}
    return finished(
        mode="multimodal",
        test=scores,
        baselines={"image": scores, "ensemble": scores},
        gain={
            "against": "image",
            "delta_m_percent": 2.0,
            "per_task": per_task,
            "negative_transfer": [],
            "over_ensemble": {"delta_m_percent": over_ensemble},
        },
    )


def test_gains_of_several_tasks_name_the_best_single_modality() -> None:
    text = multimodal(0.5, digit=2.0, parity=3.0)
    assert "helps on 2 of 2 tasks over image alone: digit (+2.0 %), parity (+3.0 %)." in text


def test_a_better_ensemble_is_called_that() -> None:
    assert "The ensemble of all single modalities is better: by 1.9 %." in multimodal(-1.9, a=2.0)
    assert "Over the ensemble of all single modalities: 0.0 %." in multimodal(-0.04, a=2.0)


def test_without_baselines() -> None:
    expected = """
test            transfer
digit accuracy     0.921
"""
    assert finished(baselines={}, gain=None) == expected + CLOSING


def test_the_primary_metric_is_shown_where_the_result_names_it() -> None:
    assert "digit macro_f1     0.900" in finished(primary={"digit": "macro_f1"})


def test_scores_that_could_not_be_measured() -> None:
    text = finished(
        test={"y": {"r2": float("nan")}, "z": {"r2": None}},
        baselines={"scratch": {}},
        gain={
            "against": "scratch",
            "delta_m_percent": None,
            "per_task": {},
            "negative_transfer": [],
        },
    )
    expected = """
test  transfer  scratch  gain
y r2         -        -     -
z r2         -        -     -
"""
    assert text == expected + CLOSING


@pytest.mark.parametrize("status", ["failed", "interrupted"])
def test_a_run_that_did_not_complete_has_no_table(status: str) -> None:
    assert finished(status=status) == ""


def test_characters_that_the_stream_lacks_are_replaced() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", newline="\n")
    PlainRecorder(stream).message("größe")
    assert printed(stream) == "gr??e\n"


def test_paths_below_the_working_directory_are_relative(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recorder, stream = plain()
    recorder.start(Header(tmp_path / "outputs" / "a", "transfer", "cpu", 1, 1, {}))
    assert "  run     outputs/a\n" in printed(stream)


def test_a_gain_within_two_standard_errors_is_called_noise() -> None:
    text = finished(
        mode="multitask",
        test={"a": {"accuracy": 0.5}, "b": {"accuracy": 0.9}},
        baselines={"single_task": {"a": {"accuracy": 0.5}, "b": {"accuracy": 0.8}}},
        gain={
            "against": "single_task",
            "delta_m_percent": 6.4,
            "per_task": {"a": -0.3, "b": 12.5},
            "standard_error": {"a": 0.9, "b": 2.0},
            "negative_transfer": ["a"],
        },
    )
    assert "helps: b accuracy 0.900 vs 0.800 with its own model (+12.5 %, ± 2.0)." in text
    assert "Within the noise of the test split: a accuracy" in text
    assert "Negative transfer" not in text
