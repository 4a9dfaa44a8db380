from __future__ import annotations

from dataclasses import asdict
from itertools import zip_longest
from pathlib import Path

import pytest
import yaml
from hydra import compose as hydra_compose
from omegaconf import OmegaConf

from sercli.config.compose import compose, list_choices, to_yaml
from sercli.config.schema import Config
from sercli.config.settings import GROUPS
from sercli.config.sources import PRIMARY
from sercli.errors import RequestError
from sercli.resources import packaged

FILES = sorted(packaged("conf").glob("*/*.yaml"))
NEEDED = {
    "dataset=manifest": ["+dataset.classes.joy=happiness"],
    "dataset=several": ["dataset.of=[emodb,savee]"],
}
"""Choices that the user must complete."""


def refusal(*overrides: str) -> str:
    with pytest.raises(RequestError) as error:
        compose(overrides)
    return str(error.value)


def test_without_overrides_the_configuration_is_the_default_one() -> None:
    config = compose([])
    assert isinstance(config, Config)
    assert (config.dataset.name, config.model["name"]) == ("synthetic", "iaan_small")
    assert config.seeds == [0]


def test_overrides_change_what_they_name() -> None:
    config = compose(["trainer=iaan", "trainer.steps=7", "seeds=[1,2]", "optim.clip_norm=null"])
    assert (config.trainer.steps, config.trainer.batch_size) == (7, 64)
    assert config.seeds == [1, 2]
    assert config.optim.clip_norm is None


def test_values_do_not_leak_into_the_next_composition() -> None:
    before = compose([])
    compose(["trainer.steps=7", "dataset.classes={fru: anger}", "~dataset.classes.exc"])
    assert compose([]) == before


@pytest.mark.parametrize(
    "overrides",
    [
        ["trainer.steps=7", "seeds=[1,2]", "optim.clip_norm=null", "arelu.alpha=0.3"],
        ["model=iaan", "activation=prelu", "activation.slope=0.3", "trainer=iaan"],
        ["model.hidden=3", "model=bigru_att_small", "cell=lstm", "dataset.root=${paths.data}/x"],
        ["++dataset.classes.fru=anger", "~dataset.classes.exc", "dataset.context.choose=none"],
    ],
)
def test_setting_values_in_a_copy_equals_composing_all_by_hydra(overrides: list[str]) -> None:
    whole = OmegaConf.to_object(hydra_compose(PRIMARY, overrides))
    assert compose(overrides) == whole


def test_the_arelu_node_sets_the_activation() -> None:
    config = compose(["activation=arelu", "arelu.alpha=0", "arelu.alpha_min=0", "arelu.learn=no"])
    assert config.activation == {
        "name": "arelu",
        "alpha": 0.0,
        "beta": 1.0,
        "alpha_min": 0.0,
        "alpha_max": 0.99,
        "learn": False,
        "share": "layer",
        "per_unit": False,
    }


def test_the_corpus_of_a_seed_has_a_folder_of_its_own() -> None:
    config = compose(["paths.data=here", "dataset.options.seed=3"])
    assert config.dataset.root == "here/synthetic-3"


BUILT = ("activation", "cell", "model")
"""Groups whose choices are composed together where they are built (``models/test_build_model``)."""
BY_GROUP = [
    [f"{path.parent.name}={path.stem}" for path in FILES if path.parent.name == group]
    for group in GROUPS
    if group not in BUILT
]
TOGETHER = list(zip_longest(*BY_GROUP))
"""Every other choice once, with one of each other group that still has one."""


@pytest.mark.parametrize("together", range(len(TOGETHER)))
def test_choices_of_the_other_groups_compose_together(together: int) -> None:
    choices = [choice for choice in TOGETHER[together] if choice]
    config = compose([*choices, *(each for choice in choices for each in NEEDED.get(choice, []))])
    for choice in choices:
        group, _, _ = choice.partition("=")
        assert group in ("trainer", "augment") or getattr(config, group)


@pytest.mark.exhaustive
@pytest.mark.parametrize("choice", [f"{path.parent.name}={path.stem}" for path in FILES])
def test_every_choice_of_every_group_composes_alone(choice: str) -> None:
    group = choice.partition("=")[0]
    config = compose([choice, *NEEDED.get(choice, [])])
    assert group in ("trainer", "augment") or getattr(config, group)


def test_every_file_belongs_to_a_group() -> None:
    assert {path.parent.name for path in FILES} == set(GROUPS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_first_line_of_every_choice_describes_it(path: Path) -> None:
    first = path.read_text(encoding="utf-8").removeprefix("# @package _global_\n").split("\n")[0]
    described = {choice.name: choice.description for choice in list_choices(path.parent.name)}
    assert first.startswith("# ")
    assert described[path.stem] == first[2:].strip()
    assert len(described[path.stem]) > 10


def test_every_group_has_one_default() -> None:
    defaults = [choice for group in GROUPS for choice in list_choices(group) if choice.default]
    assert [choice.group for choice in defaults] == list(GROUPS)
    assert "synthetic" in [choice.name for choice in defaults]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainer.stpes=5", "unknown key 'trainer.stpes'. Did you mean 'trainer.steps'?"),
        ("experimnet=x", "unknown key 'experimnet'. Did you mean 'experiment'?"),
        ("arelu.alpah=0.1", "unknown key 'arelu.alpah'. Did you mean 'arelu.alpha'?"),
        ("model.hiden=3", "unknown key 'model.hiden'. Did you mean 'model.hidden'?"),
        ("hydra.verbose=true", "unknown key 'hydra.verbose'."),
        ("activation=aerlu", "unknown activation 'aerlu'. Did you mean 'arelu'?"),
        ("dataset=nem", "unknown dataset 'nem'. Did you mean 'nemo'?"),
        ("cell=lstn", "unknown cell 'lstn'. Did you mean 'lstm'?"),
        ("trainer=null", "unknown trainer 'None'. Known: default, demo, iaan,"),
    ],
)
def test_an_unknown_key_or_choice_is_refused_with_the_nearest_one(
    override: str, message: str
) -> None:
    assert refusal(override).startswith(message)


def test_augmentations_are_combined_in_a_list() -> None:
    both = compose(["augment=[speed, noise]", "augment.noise.copies=3"]).augment
    assert {name: {**each} for name, each in both.items()} == {
        "speed": {"factors": [0.9, 1.1]},
        "noise": {"snr": [0, 20], "copies": 3, "folder": None},
    }
    assert compose(["augment=[]"]).augment == compose([]).augment == {}
    assert refusal("augment=[speed,nose]") == "unknown augment 'nose'. Did you mean 'noise'?"
    assert "to combine them: 'augment=[speed,noise]'" in refusal("augment=speed,noise")
    assert refusal("augment.speed.factors=[0.9]") == (
        "unknown key 'augment.speed.factors'; it needs augment=speed"
    )
    assert refusal("model=[iaan,mdnn]").startswith("unknown model")


def test_a_setting_of_another_choice_is_unknown() -> None:
    assert "unknown key 'activation.alpha'" in refusal("activation=tanh", "activation.alpha=0.1")
    assert compose(["activation=arelu", "activation.alpha=0.1"]).activation["alpha"] == 0.1


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainer.steps=abc", "trainer.steps: Value 'abc' of type 'str' could not be converted"),
        ("trainer.steps=1.5", "trainer.steps: Value '1.5' of type 'float' could not be converted"),
        ("optim.lr=fast", "optim.lr: Value 'fast'"),
        ("arelu.learn=maybe", "arelu.learn: Value 'maybe'"),
        ("seeds=[a]", "seeds[0]: Value 'a'"),
        ("seeds=null", "field 'seeds' is not Optional"),
        ("dataset.root=${paths.oops}", "dataset.root: Interpolation key 'paths.oops' not found"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_with_its_key(override: str, message: str) -> None:
    assert refusal(override).startswith(message)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainer.steps=0", "trainer.steps=0: must be 1 or more"),
        ("trainer.batch_size=-1", "trainer.batch_size=-1: must be 1 or more"),
        ("trainer.eval_every=0", "trainer.eval_every=0: must be 1 or more"),
        ("trainer.patience=0", "trainer.patience=0: must be 1 or more, or null"),
        ("trainer.label_smoothing=1", "trainer.label_smoothing=1.0: must be in [0, 1)"),
        ("trainer.label_smoothing=nan", "trainer.label_smoothing=nan: must be in [0, 1)"),
        ("optim.lr=0", "optim.lr=0.0: must be above 0"),
        ("optim.lr=nan", "optim.lr=nan: must be above 0"),
        ("optim.weight_decay=-1", "optim.weight_decay=-1.0: must be 0 or more"),
        ("optim.clip_norm=0", "optim.clip_norm=0.0: must be above 0, or null"),
        ("features.sampling_rate=0", "features.sampling_rate=0: must be above 0"),
        ("features.max_frames=0", "features.max_frames=0: must be 1 or more"),
        ("features.pool=0", "features.pool=0: must be 1 or more"),
        ("dataset.context.window=-1", "dataset.context.window=-1: must be 0 or more"),
        ("seeds=[]", "seeds=[]: must be at least one seed"),
        ("seeds=[1,1]", "seeds=[1, 1]: must be at least one seed, none below 0, each only once"),
        ("seeds=[-1]", "seeds=[-1]: must be at least one seed, none below 0"),
        ("precision=fb16", "precision=fb16 is not known. Did you mean 'bf16'?"),
        ("recurrence.backend=ccp", "recurrence.backend=ccp is not known. Did you mean 'cpp'?"),
        ("experiment=a/b", "experiment=a/b: must be a name that a folder can have"),
        ("experiment=.hidden", "experiment=.hidden: must be a name"),
        ("experiment=", "experiment=: must be a name"),
        ("activation.name=null", "activation.name=None: must be the name of an activation"),
        ("cell.name=[1]", "cell.name=[1]: must be the name of a cell"),
        ("model.system=3", "model.system=3: must be the name of a model"),
        ("model.name=null", "model.name=None: must be a name"),
        ("dataset=manifest", "dataset.classes={}: must be a class for each emotion"),
        ("optim.name=adma", "optim.name=adma is not known. Did you mean 'adam'?"),
        ("trainer.batches=cut", "trainer.batches=cut is not known."),
        ("protocol.seed=-1", "protocol.seed=-1: must be 0 or more"),
        ("protocol.unit=speakr", "protocol.unit=speakr is not known. Did you mean 'speaker'?"),
        ("protocol.dev=last", "protocol.dev=last is not known. Known: column, dialogues, next,"),
        ("features.normalise=speakers", "features.normalise=speakers is not known. Did you mean"),
        ("dataset.context.order=start", "dataset.context.order=start is not known. Did you mean"),
    ],
)
def test_a_value_out_of_range_is_refused(override: str, message: str) -> None:
    assert refusal(override).startswith(message)


@pytest.mark.parametrize(
    "override",
    [
        "trainer.patience=null",
        "trainer.label_smoothing=0",
        "optim.clip_norm=null",
        "optim.weight_decay=0",
        "dataset.context.window=0",
    ],
)
def test_the_edge_of_a_range_is_allowed(override: str) -> None:
    compose([override])


@pytest.mark.parametrize("override", ["foo", "=1", "trainer.steps=[", "x={", "a b=1", "", "-"])
def test_text_that_is_not_an_override_is_refused(override: str) -> None:
    assert refusal(override) == (
        f"'{override}' is not an override; write KEY=VALUE, as in trainer.steps=500"
    )


@pytest.mark.parametrize(
    "override",
    ["arelu.alpha=0.1,0.2", "activation=tanh,relu", "arelu.beta=range(0,3)", "model=glob(*)"],
)
def test_several_values_are_refused_with_the_way_to_sweep(override: str) -> None:
    message = refusal(override)
    assert f"'{override}' gives several values" in message
    assert "sercli sweep" in message


def test_a_quoted_comma_is_one_value() -> None:
    assert compose(["experiment='a,b'"]).experiment == "a,b"


@pytest.mark.parametrize(
    "override",
    ["+dataset.classes.fru=anger", "dataset.classes.fru=anger", "dataset.classes={fru: anger}"],
)
def test_emotions_can_be_added_to_and_removed_from_the_task(override: str) -> None:
    config = compose([override, "~dataset.classes.exc"])
    assert config.dataset.classes["ang"] == "anger"
    assert config.dataset.classes["fru"] == "anger"
    assert "exc" not in config.dataset.classes
    assert compose(["dataset.expected={anger: 3}"]).dataset.expected == {"anger": 3}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("~dataset.classes.zzz", "Could not delete from config. 'dataset.classes.zzz' does not"),
        ("+experiment=x", "Could not append to config. An item is already at 'experiment'"),
        ("+foo=1", "unknown key 'foo'."),
        ("+arelu.foo=1", "unknown key 'arelu.foo'."),
        ("+activation.foo=1", "unknown key 'activation.foo'."),
        ("++model.foo=1", "unknown key 'model.foo'."),
        ("~model.hidden", "'~model.hidden': only emotions under dataset.classes can be removed"),
        ("~activation", "'~activation': only emotions under dataset.classes can be removed"),
        ("~seeds", "'~seeds': only emotions under dataset.classes can be removed"),
    ],
)
def test_keys_of_closed_nodes_cannot_be_added_or_removed(override: str, message: str) -> None:
    assert refusal(override).startswith(message)


def test_every_refusal_is_one_line() -> None:
    for override in ("trainer.steps=abc", "foo", "activation=x", "arelu=3", "dataset.root=${a}"):
        assert "\n" not in refusal(override)


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["trainer.patience=null", "optim.lr=1e-5", "seeds=[3,4]", "experiment='no'"],
        ["dataset=iemocap", "model=iaan", "activation=tanh", "dataset.root='/a b/ö: x'"],
    ],
)
def test_yaml_gives_the_configuration_back(overrides: list[str]) -> None:
    config = compose(overrides)
    text = to_yaml(config)
    again = OmegaConf.merge(OmegaConf.structured(Config), OmegaConf.create(text))
    assert OmegaConf.to_object(again) == config
    assert yaml.safe_load(text) == asdict(config)
    assert text == OmegaConf.to_yaml(OmegaConf.create(asdict(config)))


@pytest.mark.parametrize(
    ("override", "classes"),
    [
        ("dataset.classes={0: anger, 1: joy}", {"0": "anger", "1": "joy"}),
        (
            "dataset.classes={yes: a, null: b, nan: c, true: d}",
            {"yes": "a", "null": "b", "nan": "c", "true": "d"},
        ),
        ('dataset.classes={"0": anger, "1.5": joy}', {"0": "anger", "1.5": "joy"}),
        (
            "dataset.classes={生气: anger, 'très triste': 悲しみ}",
            {"生气": "anger", "très triste": "悲しみ"},
        ),
        ("dataset.classes={True: a, 007: b, 1.0: c}", {"True": "a", "007": "b", "1.0": "c"}),
        ("dataset.classes={0:anger,True:joy}", {"0": "anger", "True": "joy"}),
        ("dataset.classes={'a b': 'c d'}", {"a b": "c d"}),
        ("dataset.classes.生气=anger", {"生气": "anger"}),
        ("+dataset.classes.wütend=Ärger", {"wütend": "Ärger"}),
        ("dataset.classes.7=anger", {"7": "anger"}),
    ],
)
def test_emotion_codes_may_be_numbers_quoted_or_in_any_script(
    override: str, classes: dict[str, str]
) -> None:
    assert compose(["dataset=manifest", override]).dataset.classes == classes


@pytest.mark.parametrize("value", ["{生气: }", "{生气: [a]}", "{生气", "生气", "{}é"])
def test_classes_that_are_no_mapping_of_text_are_refused(value: str) -> None:
    assert "is not an override" in refusal("dataset=manifest", f"dataset.classes={value}")
