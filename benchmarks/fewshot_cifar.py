"""What a source, a way of fine-tuning and unlabelled images are worth with few labels.

    python benchmarks/fewshot_cifar.py IMAGES OUT [--seeds 0 1 2] [--shots 5 20 100]

IMAGES holds CIFAR-10 as ``train/<class>/*`` and ``test/<class>/*``; runs go to OUT, and what is
complete there is not run again. Source: five classes with all their labels; target: five others.
From scratch has as many optimizer steps as pretraining and fine-tuning together.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from experiments import run, spread, table

COMMON = (
    "experiment=cifar_halves",
    "backbone.image.channels=[32,64,128]",
    "backbone.image.hidden=256",
    "backbone.image.batch_norm=true",
    "engine.threads=1",
    "recorder.figures=false",
    "recorder.tensorboard=false",
    "recorder.progress=none",
)
CROP_AND_FLIP = tuple(
    f"{data}.augment.{change}" for data in ("source", "target") for change in ("crop=4", "flip=0.5")
)
EPOCHS = {5: 40, 20: 30, 100: 12}  # on the target
METHODS = {
    "linear probe": ("finetune=head",),
    "LP-FT": ("finetune=lp_ft",),
    "gradual unfreezing": ("finetune=gradual",),
    "LoRA": ("finetune=lora",),
    "L2-SP": ("terms=[l2_sp]",),
    "DELTA": ("terms=[delta]",),
    "BSS": ("terms=[bss]",),
}


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__)
    parse.add_argument("images", type=Path)
    parse.add_argument("out", type=Path)
    parse.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parse.add_argument("--shots", type=int, nargs="+", default=[5, 20, 100])
    parsed = parse.parse_args()
    found: dict[str, dict[int, list[float]]] = {}

    def note(method: str, shots: int, accuracy: float) -> None:
        found.setdefault(method, {}).setdefault(shots, []).append(accuracy)

    for seed in parsed.seeds:
        for shots in parsed.shots:
            out = parsed.out / f"seed{seed}_shots{shots}"
            common = (
                *COMMON,
                f"data_root={parsed.images}",
                f"seed={seed}",
                f"target.shots={shots}",
                f"batch_size={min(32, 5 * shots)}",
                f"epochs={EPOCHS.get(shots, 20)}",
                *CROP_AND_FLIP,
            )
            full = run(out / "full", *common, "pretrain_epochs=8")
            note("from scratch", shots, full["baselines"]["scratch"]["label"]["accuracy"])
            note("fine-tuned", shots, full["test"]["label"]["accuracy"])
            start = f"source.weights={out / 'full/checkpoints/pretrain/model.safetensors'}"
            alone = (*common, "baselines=false")
            for name, overrides in METHODS.items():
                result = run(out / name.replace(" ", "_"), *alone, start, *overrides)
                note(name, shots, result["test"]["label"]["accuracy"])
            note(
                "SimCLR on unlabelled target images, then fine-tuned",
                shots,
                simclr(parsed, seed, alone, out),
            )
    header = ["test accuracy %", *(f"{shots} per class" for shots in parsed.shots)]
    rows = [[name, *(spread(by[shots]) for shots in parsed.shots)] for name, by in found.items()]
    print(table(header, rows))


def simclr(parsed: argparse.Namespace, seed: int, common: tuple[str, ...], out: Path) -> float:
    """Return the accuracy after self-supervision on the target's images, and fine-tuning.

    The self-supervised phase sees no label, so that one of a seed serves all numbers of shots.
    """
    learned = parsed.out / f"seed{seed}_simclr"
    run(
        learned,
        *COMMON[1:],
        "mode=multitask",
        "dataset=imagefolder",
        "dataset.classes=[bird,cat,frog,horse,truck]",
        "dataset.shots=100",
        f"data_root={parsed.images}",
        f"seed={seed}",
        "batch_size=128",
        "epochs=1",
        "terms=[simclr]",
        "pretraining.epochs=15",
        "baselines=false",
    )
    weights = learned / "checkpoints/self_supervised/model.safetensors"
    result = run(out / "simclr", *common, f"source.weights={weights}")
    return result["test"]["label"]["accuracy"]


if __name__ == "__main__":
    main()
