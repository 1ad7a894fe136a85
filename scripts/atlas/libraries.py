"""The models of diffusers, transformers and spandrel, as names and shapes of their tensors.

Every class is built on the meta device from its default configuration, and again with
each option of it changed, so that names that only some models have are known as such.
"""

import collections
import contextlib
import importlib
import inspect
import json
import pathlib
import pkgutil
import re
import signal
import sys
import time
import types

from .expressions import generalized, words_of

HERE = pathlib.Path(__file__).resolve().parent
VOCABULARY = 8192  # words, at least
EMBEDDING = re.compile(r"(embed\w*|wte|shared|tok_embeddings)\.weight$")
SECONDS = 60  # a class that takes longer to build is left out


class Form(collections.namedtuple("Form", "library kind_of cls module layout prefix base variants "
                                          "width words tells shapes")):
    """One class: `base` and `variants` are sets of (name, rank); kind_of is a model type of
    transformers, a folder of spandrel, else empty; tells: {(name, dim): size} of what released
    models mostly keep of the defaults; shapes: {name: shape} of the defaults, for measures."""


@contextlib.contextmanager
def time_limit():
    def stop(*_):
        raise TimeoutError("it took too long")

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)


def names_of(shapes):
    return frozenset((generalized(name), len(shape)) for name, shape in shapes.items())


def width_of(shapes):
    """The commonest dim of matrices, which is mostly the width of the model."""
    dims = collections.Counter(d for shape in shapes.values() if len(shape) == 2 for d in shape)
    return dims.most_common(1)[0][0] if dims else 0


def tells_of(shapes, vocabulary_only):
    """Sizes of what goes in and out; of a language model, those of its vocabulary."""
    tells = {}
    for name, shape in shapes.items():
        if "#" in generalized(name) or len(shape) < 2:
            continue
        if vocabulary_only and (shape[0] < VOCABULARY or not EMBEDDING.search(name)):
            continue
        for dim, size in enumerate(shape[:1] if vocabulary_only else shape[:2]):
            tells[".".join(words_of(name, len(shape))), dim] = size
    return tells


def shapes_of(build, devices=("meta",)):
    """On the first device where it can be built: some models compute with their own values."""
    import torch

    for device in devices:
        try:
            with time_limit(), torch.device(device):
                model = build()
            return {name: tuple(value.shape) for name, value in model.state_dict().items()}
        except Exception:
            if device == devices[-1]:
                raise
    return {}


def without(torch_names):
    """Stands for modules that the libraries import and the building of models doesn't need."""

    class Stub(types.ModuleType):
        __path__ = []

        def __getattr__(self, name):
            if name.startswith("__"):
                raise AttributeError(name)
            return lambda *_, **__: None

    for name in torch_names:
        sys.modules.setdefault(name, Stub(name))


def prepare():
    import torch

    linspace = torch.linspace  # read by value while models are built
    torch.linspace = lambda *args, **kw: linspace(*args, **{**kw, "device": "cpu"})


def other_values(parameter):
    """Values worth trying in place of a parameter's default."""
    default = parameter.default
    if isinstance(default, bool):
        return [not default]
    if default is None:
        return [8, True]
    return []


def variants_of(parameters, build, more=()):
    """Sets of names with each parameter changed; layers are few, so that it is quick."""
    small = {}
    for each in parameters:
        counts = isinstance(each.default, int) and not isinstance(each.default, bool)
        if counts and each.default > 2 and re.search("num_.*(layers|blocks)|depth", each.name):
            with contextlib.suppress(Exception):
                shapes_of(lambda: build(**small, **{each.name: 2}))
                small[each.name] = 2
    variants = set()
    for each in parameters:
        for value in [*other_values(each), *dict(more).get(each.name, ())]:
            with contextlib.suppress(Exception):
                variants.add(names_of(shapes_of(lambda: build(**{**small, each.name: value}))))
    return variants


def diffusers_forms(log):
    import diffusers
    from diffusers.models.modeling_utils import ModelMixin

    classes = {}
    for module_name in sorted(m.name for m in pkgutil.walk_packages(diffusers.__path__, "diffusers.")):
        if not re.search(r"\.models\.|\.pipelines\.", module_name) or "flax" in module_name:
            continue
        try:
            module = importlib.import_module(module_name)
        except Exception as error:  # of an optional package
            log(f"{module_name}: {error}")
            continue
        for name, cls in vars(module).items():
            if inspect.isclass(cls) and issubclass(cls, ModelMixin) and cls.__module__ == module_name:
                classes[name] = cls
    users = pipelines_of(diffusers, classes)
    configurations = json.loads((HERE / "configurations.json").read_text())["diffusers"]
    for name, cls in sorted(classes.items()):
        parameters = list(inspect.signature(cls.__init__).parameters.values())
        variants, base, width = set(), None, 0
        for configuration in configurations.get(name, [{}]):
            build = lambda **kw: cls(**{**configuration, **kw})  # noqa: E731
            try:
                shapes = shapes_of(build)
            except Exception as error:
                log(f"{name}: {error}")
                continue
            if base is None:
                base, width, base_shapes = names_of(shapes), width_of(shapes), shapes
                tells = tells_of(shapes, False)
                variants |= variants_of(parameters, build)
            else:
                variants.add(names_of(shapes))
        if base:
            words = frozenset([name, *users.get(name, ())])
            yield Form("diffusers", "", name, cls.__module__, "", "", base, variants, width, words,
                       tells, base_shapes)


def pipelines_of(diffusers, classes):
    """{class of a denoiser: pipelines whose constructor asks for it}."""
    users = collections.defaultdict(set)
    for name in dir(diffusers):
        if not name.endswith("Pipeline"):
            continue
        with contextlib.suppress(Exception):
            parameters = inspect.signature(getattr(diffusers, name).__init__).parameters
            for place in ("transformer", "unet", "prior"):
                asked = str(parameters[place].annotation) if place in parameters else ""
                of = [c for c in re.findall(r"\w+", asked) if c in classes]
                if len(of) == 1:
                    users[of[0]].add(name)
    return users


EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
FEW_EXPERTS = 8  # names of experts differ in their number only
# Heads with the names of others.
SAME_HEADS = re.compile("For(TokenClassification|QuestionAnswering|MultipleChoice|"
                        "NextSentencePrediction|SequenceClassification)$")


def with_few_experts(configuration, depth=2):
    for attribute in EXPERTS:
        value = getattr(configuration, attribute, None)
        if isinstance(value, int) and value > FEW_EXPERTS:
            with contextlib.suppress(Exception):
                setattr(configuration, attribute, FEW_EXPERTS)
    for name in getattr(configuration, "sub_configs", None) or () if depth else ():
        part = getattr(configuration, name, None)
        if hasattr(part, "to_dict"):
            with_few_experts(part, depth - 1)
    return configuration


def transformers_shapes(cls, configurations):
    """(names in memory, names on disk or None) of the first configuration that can be built."""
    import torch
    from transformers import initialization
    from transformers.core_model_loading import revert_weight_conversion

    error = None
    for configuration in configurations:
        try:
            with time_limit(), initialization.no_init_weights(), torch.device("meta"):
                model = cls(configuration())
                state = dict(model.state_dict())
                memory = {name: tuple(value.shape) for name, value in state.items()}
                with contextlib.suppress(NotImplementedError, RuntimeError, TypeError, KeyError):
                    disk = revert_weight_conversion(model, state)
                    return memory, {name: tuple(value.shape) for name, value in disk.items()}
                return memory, None
        except Exception as failed:
            error = failed
    raise error


# Options that add or take away tensors.
OPTIONS = re.compile("bias|norm|gated|glu|qk|feed_forward_proj|add_|^use_")
GATED = ["gated-gelu"]  # of feed_forward_proj
LAYERS = ("num_hidden_layers", "n_layer", "num_layers", "encoder_layers", "decoder_layers")
OPTION_SECONDS = 10  # for all options of a class


def transformers_variants(cls, configuration, kwargs):
    """{layout: sets of names with each option of the configuration changed}."""
    defaults = configuration(**kwargs)
    small = dict(kwargs)
    variants = collections.defaultdict(set)
    begin = time.monotonic()

    def add(**options):
        build = lambda: with_few_experts(configuration(**{**small, **options}))  # noqa: E731
        return transformers_shapes(cls, (build,))

    for name in LAYERS if not hasattr(defaults, "layer_types") else ():
        if isinstance(getattr(defaults, name, None), int) and getattr(defaults, name) > 2:
            with contextlib.suppress(Exception):
                add(**{name: 2})
                small[name] = 2
    for name, value in sorted(defaults.to_dict().items()):
        if time.monotonic() - begin > OPTION_SECONDS or not OPTIONS.search(name):
            continue
        others = [not value] if isinstance(value, bool) else []
        for other in GATED if name == "feed_forward_proj" else others:
            with contextlib.suppress(Exception):
                memory, disk = add(**{name: other})
                variants["memory"].add(names_of(memory))
                if disk and disk.keys() != memory.keys():
                    variants["disk"].add(names_of(disk))
    return variants


def transformers_forms(log):
    import transformers
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    settings = json.loads((HERE / "configurations.json").read_text())["transformers"]
    for model_type, configuration_name in sorted(CONFIG_MAPPING_NAMES.items()):
        try:
            of = getattr(transformers, configuration_name)
            module_name = of.__module__.replace("configuration_", "modeling_")
            module = importlib.import_module(module_name)
        except Exception as error:
            log(f"{model_type}: {error}")
            continue
        if of.model_type != model_type:  # another word for a model that has its own
            continue
        kwargs = settings.get(model_type, {})
        configurations = (lambda: with_few_experts(of(**kwargs)), lambda: of(**kwargs))
        classes = {
            name: cls for name, cls in sorted(vars(module).items())
            if inspect.isclass(cls) and cls.__module__ == module_name
            and issubclass(cls, transformers.PreTrainedModel)
            and not name.endswith("PreTrainedModel") and getattr(cls, "config_class", None) is of
        }
        words = frozenset([model_type, *classes])
        built = {}
        for name, cls in classes.items():
            if SAME_HEADS.search(name):
                continue
            try:
                memory, disk = transformers_shapes(cls, configurations)
            except Exception as error:
                log(f"{name}: {error}")
                continue
            built[name] = {"memory": memory}
            if disk and disk.keys() != memory.keys():
                built[name]["disk"] = disk
        largest = max(built, key=lambda name: len(built[name]["memory"]), default="")
        variants = transformers_variants(classes[largest], of, kwargs) if largest else {}
        for name, layouts in built.items():
            for layout, shapes in layouts.items():
                yield Form("transformers", model_type, name, module_name, layout,
                           classes[name].base_model_prefix or "", names_of(shapes),
                           variants.get(layout, set()) if name == largest else set(),
                           width_of(shapes), words, tells_of(shapes, True), shapes)


def transformers_tasks():
    """{"CAUSAL_LM": model types}, as the auto classes have them."""
    from transformers.models.auto import modeling_auto

    named = re.compile("MODEL_FOR_([A-Z0-9_]+?)_(MAPPING_)?NAMES")
    return {match[1]: set(value) for name, value in vars(modeling_auto).items()
            if (match := named.fullmatch(name))}


def transformers_heirs():
    """{folder of a model: how many others are written in its terms}: the best known are
    those that many follow."""
    import transformers

    heirs = collections.Counter()
    for file in pathlib.Path(transformers.__path__[0], "models").glob("*/modular_*.py"):
        heirs.update(set(re.findall(r"^from \.\.(\w+)\.", file.read_text(), re.MULTILINE)))
    return heirs


UPSAMPLERS = ["pixelshuffle", "pixelshuffledirect", "nearest+conv", "", "1conv", "3conv", "dys",
              "ps", "conv", "identity"]
SCALES = [1, 2, 8]


def spandrel_forms(log):
    import torch

    settings = json.loads((HERE / "configurations.json").read_text())["spandrel"]
    for library in ("spandrel", "spandrel_extra_arches"):
        architectures = importlib.import_module(f"{library}.architectures")
        for folder in sorted(m.name for m in pkgutil.iter_modules(architectures.__path__)):
            if folder.startswith("_"):
                continue
            try:
                module = importlib.import_module(f"{architectures.__name__}.{folder}")
            except Exception as error:
                log(f"{folder}: {error}")
                continue
            for name, cls in sorted(vars(module).items()):
                if not (inspect.isclass(cls) and issubclass(cls, torch.nn.Module)):
                    continue
                parameters = list(inspect.signature(cls.__init__).parameters.values())
                more = {each.name: UPSAMPLERS for each in parameters if isinstance(each.default, str)}
                more |= {each: SCALES for each in ("scale", "upscale", "upscaling_factor")}
                build = lambda **kw: cls(**{**settings.get(name, {}), **kw})  # noqa: E731
                try:
                    shapes = shapes_of(build, ("meta", "cpu"))
                except Exception as error:
                    log(f"{folder} {name}: {error}")
                    continue
                yield Form("spandrel", folder, name, module.__name__, "", "", names_of(shapes),
                           variants_of(parameters, build, more), width_of(shapes), frozenset([name]), {},
                           shapes)
