"""What Keras has and gradtape leaves out on purpose: the reasons, for errors and for the docs."""

from __future__ import annotations

import re

RECURRENT = "recurrent layers are out of scope"
ATTENTION = "attention is out of scope"
TEXT = "text and tables are out of scope"
BACKEND = "belongs to a back end of Keras"
PRECISION = "one precision for a model: mixed precision and quantization are out of scope"
FILES = "a file format of Keras"
AUDIO = "spectrograms are out of scope"
SCOPES = "names are registered, or passed in custom_objects"
LARGE = "for training large models on accelerators"

#: What is left out, and why: patterns of names within a module.
LEFT_OUT: dict[str, dict[str, str]] = {
    "layers": {
        r"(RNN|.*RNN|.*RNNCells?|GRU|GRUCell|LSTM|LSTMCell|ConvLSTM.*|Bidirectional)": RECURRENT,
        r"(TimeDistributed|Wrapper|Masking)": RECURRENT,
        r".*Attention": ATTENTION,
        r"(ReversibleEmbedding|EinsumDense)": ATTENTION,
        r"(TextVectorization|StringLookup|IntegerLookup|Hashing|HashedCrossing)": TEXT,
        r"(CategoryEncoding|Discretization)": TEXT,
        r"(TFSMLayer|JaxLayer|FlaxLayer|TorchModuleWrapper)": BACKEND,
        r"(MelSpectrogram|STFTSpectrogram)": AUDIO,
        r"(MaxNumBoundingBoxes|Pipeline)": "bounding boxes are out of scope",
        r"(AugMix|RandAugment|AutoContrast|Equalization|Solarization|ContrastLimited.*)":
            "augmentation beyond the list of this course",
        r"Random(ElasticTransform|GaussianBlur|Perspective|Posterization)":
            "augmentation beyond the list of this course",
        r"SpectralNormalization": "for adversarial nets",
    },
    "losses": {r"(CTC|ctc)": TEXT},
    "metrics": {},
    "optimizers": {
        r"(Adafactor|Lamb|Muon|ScheduleFreeAdamW|MultiOptimizer|OptimizerMap)": LARGE,
        r"Ftrl": "for sparse linear models",
        r"LossScaleOptimizer": PRECISION,
    },
    "initializers": {r"(STFT|stft|STFTInitializer)": AUDIO},
    "callbacks": {r"RemoteMonitor": "talks to a service", r"OrbaxCheckpoint": BACKEND},
    "saving": {r"KerasFileEditor": FILES, r"get_custom_objects": SCOPES},
    "utils": {
        r"(FeatureSpace|text_dataset_from_directory)": TEXT,
        r"audio_dataset_from_directory": AUDIO,
        r"Config": BACKEND,
        r"(get_source_inputs|is_keras_tensor)": BACKEND,
        r"get_custom_objects": SCOPES,
        r"Progbar": "fit draws its own",
        r"standardize_dtype": "dtypes are NumPy's",
        r"model_to_dot": "plot_model draws without Graphviz",
        r"(.*able_interactive_logging|is_interactive_logging_enabled)": "verbose= says it",
        r"get_file": "data sets bring their own download",
    },
    "Optimizer": {r"(set_weights|variables)": "get_state() and set_state() have it by name"},
}  # fmt: skip


def left_out(module: str, name: object) -> str:
    """Why a module of Keras has a name that ours has not, with a space before; empty if it is new.

    Args:
        module: without its package, as in ``"layers"``.
    """
    for pattern, reason in LEFT_OUT.get(module, {}).items():
        if re.fullmatch(pattern, str(name), re.IGNORECASE):
            return f" It is left out on purpose: {reason}."
    return ""
