"""An experiment file sets nothing of Hydra's node to more than Hydra and its plugins define."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from jlrun.cli.main import main
from tests.security.hostile import loaders
from tests.security.verbs import DIGITS

Capture = pytest.CaptureFixture[str]
VERBS = {"check": ["check"], "sweep in check": ["check", "--multirun"], "run": [], "sweep": ["-m"]}

# name: the content of ``hydra:``, and the config path that is refused
FILES = {
    "callback": ("{callbacks: {x: {_target_: os.system, command: touch canary}}}", "callbacks.x"),
    "callback of torch": (
        "{callbacks: {x: {_target_: torch.hub.load, repo_or_dir: hub, model: part, "
        "source: local}}}",
        "callbacks.x",
    ),
    "class of the launcher": ("{launcher: {_target_: subprocess.Popen}}", "launcher._target_"),
    "within the launcher": (
        "{launcher: {x: [{_target_: os.system, command: touch canary}]}}",
        "launcher.x.0._target_",
    ),
    "within the sweeper": (
        "{sweeper: {sampler: {_target_: os.system, command: touch canary}}}",
        "sweeper.sampler._target_",
    ),
    "interpolated target": ("{sweeper: {x: {_target_: '${seed}'}}}", "sweeper.x._target_"),
    "linked node": ("{callbacks: '${evil}'}", "callbacks"),
    "linked part": ("{launcher: {x: '${evil}'}}", "launcher.x"),
    "linked later": ("{launcher: {x: '${oc.select:evil${hydra.job.num}}'}}", "launcher.x"),
    "linked by a default": (
        "{launcher: {x: '${oc.select:evil${oc.select:hydra.job.num,x}}'}}",
        "launcher.x",
    ),
    "linked twice": ("{launcher: {x: '${other}'}}", "launcher.x"),
    "linked handler": (
        "{job_logging: {version: 1, handlers: {x: '${oc.select:evil,1}'}}}",
        "job_logging.handlers.x",
    ),
    "handler": (
        "{job_logging: {version: 1, handlers: {x: {class: os.system, command: touch canary}}}}",
        "job_logging.handlers.x.class",
    ),
    "factory": (
        "{job_logging: {version: 1, formatters: {x: {(): os.system, command: touch canary}}}}",
        "job_logging.formatters.x.()",
    ),
    "factory of Hydra's": (
        "{hydra_logging: {version: 1, filters: {x: {(): ext://os.system}}}}",
        "hydra_logging.filters.x.()",
    ),
    "address": (
        "{job_logging: {version: 1, handlers: {x: {class: logging.StreamHandler, stream: "
        "ext://evil.x}}}}",
        "job_logging.handlers.x.stream",
    ),
    "address of the config": (
        "{job_logging: {version: 1, x: [cfg://handlers]}}",
        "job_logging.x.0",
    ),
    "composed address": (
        "{job_logging: {version: 1, x: 'ex${evil}t://evil'}}",
        "job_logging.x",
    ),
    "attributes": (
        "{job_logging: {version: 1, handlers: {x: {.: {a: 1}}}}}",
        "job_logging.handlers.x..",
    ),
    "file elsewhere": (
        "{job_logging: {version: 1, handlers: {x: {class: logging.FileHandler, "
        "filename: canary}}}}",
        "job_logging.handlers.x.filename",
    ),
    "commands of the launcher": ("{launcher: {setup: [touch canary]}}", "launcher.setup"),
    "function of the sweeper": (
        "{sweeper: {custom_search_space: evil.configure}}",
        "sweeper.custom_search_space",
    ),
    "environment": ("{job: {env_set: {LD_PRELOAD: evil.so}}}", "job.env_set"),
    "trust": ("{job: {env_set: {JLRUN_TRUST: evil}}}", "job.env_set"),
    "copied environment": ("{job: {env_copy: [HOME]}}", "job.env_copy"),
    "absent environment": ("{job: {env_copy: [NO_SUCH_VARIABLE]}}", "job.env_copy"),
}


PLUGINS = {
    "launcher": "hydra._internal.core_plugins.basic_launcher.BasicLauncher",
    "sweeper": "hydra._internal.core_plugins.basic_sweeper.BasicSweeper",
}


@pytest.fixture
def experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of ``experiment=strange``."""
    monkeypatch.chdir(tmp_path)
    loaders(tmp_path)
    (tmp_path / "evil.py").write_text("open('canary', 'w').close()\n")
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "conf" / "experiment" / "strange.yaml"
    file.parent.mkdir(parents=True)
    return file


def write(experiment: Path, text: str) -> None:
    """Write an experiment with Hydra's node; a launcher or sweeper is an option beside it."""
    node, options = yaml.safe_load(text), []
    for group, target in PLUGINS.items():
        if group in node:
            option = experiment.parents[1] / "hydra" / group / "strange.yaml"
            option.parent.mkdir(parents=True)
            option.write_text(yaml.safe_dump({"_target_": target, **node.pop(group)}))
            options.append({f"override /hydra/{group}": "strange"})
    content = {
        "defaults": [*options, "_self_"],
        "evil": {"x": {"_target_": "os.system", "command": "touch canary"}},
        "other": "${oc.select:evil,1}",
        "hydra": node,
    }
    experiment.write_text("# @package _global_\n" + yaml.safe_dump(content, sort_keys=False))


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("name", FILES)
def test_foreign_parts_are_refused(
    name: str, verb: str, experiment: Path, tmp_path: Path, capsys: Capture
) -> None:
    node, where = FILES[name]
    write(experiment, node)
    assert main([*VERBS[verb], *DIGITS, "experiment=strange"]) == 2
    said = capsys.readouterr().err
    assert f"hydra.{where}" in said
    assert "Traceback" not in said
    assert not (tmp_path / "canary").exists()
    assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize("verb", ["check", "sweep in check"])
@pytest.mark.parametrize(
    ("override", "where"),
    [
        ("++hydra.callbacks.x._target_=os.system", "hydra.callbacks.x._target_"),
        ("hydra.launcher._target_=evil.Launcher", "hydra.launcher._target_"),
        ("++hydra.sweeper.x={_target_:evil.run}", "hydra.sweeper.x._target_"),
        ("++hydra.job_logging.root.handlers=[ext://evil.run]", "hydra.job_logging.root.handlers.0"),
        ("+hydra.launcher.foo=3", "hydra.launcher.foo: BasicLauncher has no key 'foo'"),
        ("+hydra.sweeper.max_batch=3", "Did you mean 'max_batch_size'?"),
        ("++hydra.job.env_set.JLRUN_TRUST=evil", "hydra.job.env_set"),
        ("hydra.searchpath=[pkg://evil]", "hydra.searchpath"),
        ("hydra.searchpath=[pkg://evil.conf]", "hydra.searchpath"),
        ("hydra.searchpath=[other://evil]", "hydra.searchpath"),
    ],
)
def test_the_command_line_neither(
    override: str, where: str, verb: str, experiment: Path, tmp_path: Path, capsys: Capture
) -> None:
    assert main([*VERBS[verb], *DIGITS, override]) == 2
    assert where in capsys.readouterr().err
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    "node",
    [
        "{run: {dir: elsewhere}, sweep: {dir: many, subdir: '${hydra.job.num}'}}",
        "{callbacks: {x: {_target_: hydra.experimental.callbacks.LogJobReturnCallback}}}",
        "{sweeper: {params: {seed: '0,1'}}}",
        "{sweeper: {max_batch_size: '${seed}'}}",
        "{sweeper: {max_batch_size: '${oc.env:NO_SUCH_VARIABLE,1}'}}",
        "{job_logging: {version: 1, formatters: {x: {format: '[${seed}] %(message)s'}}}}",
    ],
)
def test_what_hydra_defines_is_left_alone(node: str, experiment: Path) -> None:
    experiment.write_text(f"# @package _global_\nhydra: {node}\n")
    assert main(["check", *DIGITS, "experiment=strange"]) == 0


@pytest.mark.parametrize("group", ["job_logging=default", "job_logging=stdout", "launcher=basic"])
def test_options_of_hydra_are_left_alone(group: str, tmp_path: Path) -> None:
    assert main(["check", *DIGITS, f"hydra/{group}"]) == 0


def test_a_user_sets_the_environment_of_jobs() -> None:
    assert main(["check", *DIGITS, "++hydra.job.env_set.OMP_NUM_THREADS='1'"]) == 0
