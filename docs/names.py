"""Counts the public names of PyTorch, NumPy and micrograd that are here, and writes docs/names.md.

The names stand in tests/reference/names.json (tests/reference/make_names.py lists them).  A name that is not here has a
reason, by the first line of ``REASONS`` that fits it; a test says that each has one.  Run:  python docs/names.py
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

import autoconv as ac
from autoconv import nn, optim
from autoconv.functional import methods
from autoconv.scalar import Scalar

ROOT = Path(__file__).parent.parent
NAMES = ROOT / "tests" / "reference" / "names.json"

NUMPYS = [*methods.FUNCTIONS, *methods.UFUNCS, *methods.READERS]
FUNCTIONAL = nn.functional

# where the names of each group are looked for
HERE: dict[str, Callable[[str], bool]] = {
    "torch": lambda n: n in dir(ac),
    "torch.func": lambda n: n in dir(ac),
    "torch.Tensor": lambda n: hasattr(ac.Tensor, n),
    "torch.nn": lambda n: hasattr(nn, n),
    "torch.nn.Module": lambda n: hasattr(nn.Module, n) or n == "training",
    "torch.nn.functional": lambda n: n in dir(FUNCTIONAL),
    "torch.nn.init": lambda n: hasattr(nn.init, n),
    "torch.nn.utils": lambda n: hasattr(nn.utils, n),
    "torch.optim": lambda n: hasattr(optim, n),
    "torch.optim.Optimizer": lambda n: hasattr(optim.SGD([nn.Parameter([1.0])]), n),
    "torch.optim.lr_scheduler": lambda n: hasattr(optim.lr_scheduler, n),
    "torch.linalg": lambda n: hasattr(ac.linalg, n),
    "numpy": lambda n: n in dir(ac) or any(getattr(np, n, None) is f for f in NUMPYS),
    "numpy.ndarray": lambda n: hasattr(ac.Tensor, n),
    "numpy.linalg": lambda n: hasattr(ac.linalg, n) or getattr(np.linalg, n, None) in NUMPYS,
    "micrograd Value": lambda n: hasattr(Scalar, n),
    "micrograd nn": lambda n: hasattr(nn, n),
    "micrograd Module": lambda n: hasattr(nn.Module, n),
}

# reason, the words (regular expressions, of whole names) it stands for; with "group: " for one group alone
REASONS: list[tuple[str, str]] = [
    ("in place: a Tensor keeps its value; inputs have add_ sub_ mul_ div_ clamp_ copy_ fill_ zero_ normal_ uniform_",
     r"(?!ix_)[a-z]\w*_|numpy.ndarray: (fill|put|partition|resize|itemset|setfield|setflags)|put|putmask|place|"
     r"copyto|fill|fill_diagonal|resize|apply|module_load"),
    ("complex numbers: there are none here",
     r".*(complex|conj).*|view_as_real\w*|angle|imag|real|polar|is_neg|resolve_neg|cdouble|cfloat|chalf|H|mH|adjoint|real_if_close|"
     r"iscomplexobj|isrealobj|isreal|sort_complex|common_type|mintypecode|einsum_path"),
    ("Fourier transforms and windows of signals: no such row",
     r"stft|istft|(bartlett|blackman|hamming|hann|kaiser)_window|bartlett|blackman|hamming|hanning|kaiser|i0|sinc|unwrap"),
    ("bits and whole-number arithmetic: nothing to differentiate",
     r"bitwise_.*|left_shift|right_shift|invert|gcd|lcm|packbits|unpackbits|base_repr|binary_repr|byteswap|newbyteorder"),
    ("sparse, quantised, nested or packed tensors: arrays here are dense",
     r".*(sparse|quant|fbgemm|coalesce|crow_|ccol_|col_indices|row_indices|q_per|q_sca|q_zero|padded).*|dsmm|hsmm|hspmm|"
     r"saddmm|smm|spmm|sspaddmm|values|indices|int_repr|qscheme|to_dense|dense_dim|is_nested|values_copy|indices_copy|"
     r"SparseAdam|scaled_mm|scaled_grouped_mm|grouped_mm|fused_moving_avg_obs_fake_quant|choose_qparams_optimized"),
    ("devices, memory, storage and views of it: everything is computed on the processor, in arrays of its own",
     r"get_device|is_(cpu|cuda|ipu|maia|meta|mkldnn|mps|mtia|vulkan|xla|xpu|shared|pinned|distributed|contiguous|"
     r"set_to|vulkan_available)|ipu|xpu|mtia|pin_memory|share_memory|record_stream|storage\w*|untyped_storage|data_ptr|"
     r"const_data_ptr|as_strided\w*|stride|strides|element_size|dim_order|layout|nbytes|itemsize|base|ctypes|flags|"
     r"getfield|to_mkldnn|memory_format|empty_permuted|empty_strided|to_device|to_empty|shares_memory|may_share_memory|"
     r"require|ascontiguousarray|asfortranarray|isfortran|set_module|as_subclass|numpy.ndarray: (flat|data)"),
    ("PyTorch's kernels and machinery under its public names: no functions for users",
     r".*(cudnn|miopen|mkldnn|native_|_backward|has_torch_function|handle_torch|_copy).*|batch_norm_.*|boolean_dispatch|"
     r"assert_int_or_pair|unsafe_.*|.*_with_indices|norm_except_dim|conv_tbc|convolution|constant_pad_nd|"
     r"affine_grid_generator|grid_sampler.*|sym_constrain.*|is_inference|alias_copy|split_with_sizes|hash_tensor|"
     r"frobenius_norm|nuclear_norm|slice_inverse|functionalize|rearrange|debug_unwrap|geqrf|orgqr|ormqr|fused_.*|"
     r"is_same_size|output_nr|grad_dtype|has_names|new|scalar_tensor|multi_head_attention_forward|segment_reduce"),
    ("hooks on lines and modules: a tape can be walked instead (ac.step, ac.Tape, ac.sweep)",
     r"register_\w*hook|\w*Hook|profile_hook_step|retain_grad|retains_grad|reinforce|register_post.*"),
    ("factorisations, eigenvalues and singular values: no composition of rows",
     r"cholesky.*|eig\w*|svd\w*|qr|lu\w*|ldl\w*|lstsq|pinv\w*|pinverse|matrix_rank|cond|symeig|triangular_solve|"
     r"householder_product|matrix_exp|slogdet|logdet|tensorinv|tensorsolve|solve_ex|inv_ex|solve_triangular|nuc"),
    ("special functions without a row of the table",
     r"digamma|polygamma|mvlgamma|lgamma|igamma|igammac|erfinv|nextafter|spacing|frexp|ldexp|i0|heaviside|copysign|signbit|"
     r"logaddexp2|cbrt|logit|modf|divmod|fabs|isposinf|isneginf|isnat|logcumsumexp|exp2_"),
    ("statistics by counting or ranks: their slope is 0 or not defined",
     r"bincount|histc|histogram\w*|mode|kthvalue|quantile|percentile|nan(quantile|percentile)|unique\w*|bucketize|digitize|"
     r"searchsorted|argwhere|nonzero|nonzero_static|flatnonzero|isin|in1d|lexsort|partition|argpartition|msort|"
     r"(union|intersect|setdiff|setxor)1?d?|union1d|intersect1d|is_nonzero|cummax|cummin|count_.*|interp|piecewise"),
    ("reductions that leave NaN out: ac.nan_to_num, or ac.where(ac.isnan(t), 0, t), and then the reduction", r"nan\w+"),
    ("sums of products that are short to write: x + a * y, a @ b + c, ac.mean and ac.var one after the other",
     r"add(bmm|cdiv|cmul|mm|mv|r)|clamp_(max|min)|baddbmm|mv|ger|rsub|dist|std_mean|var_mean|aminmax|chain_matmul|cdist|pdist|"
     r"pairwise_distance|renorm|trapezoid|trapz|cumulative_\w+|vecdot|matvec|vecmat|gradient|ediff1d|cov|corrcoef|poly\w*|"
     r"roots|vander|square_|normalize|rms_norm|linear_cross_entropy|positive|convolve|correlate|block_diag|bilinear|"
     r"cumulative_prod|cumulative_sum|matrix_transpose"),
    ("recurrent layers and transformers: not here; those of PyTorch are read by ac.from_torch",
     r"(gru|lstm|rnn)\w*|GRU\w*|LSTM\w*|RNN\w*|Transformer\w*"),
    ("losses beyond those of ac.losses: short to compose",
     r"\w*_loss|\w*Loss\w*|LinearCrossEntropyOptions|AdaptiveLogSoftmaxWithLoss"),
    ("layers beyond those of nn: short to compose in a Module, or one and three dimensions of a layer for images",
     r"\w*Pad[13]d|Dropout[13]d|\w*Dropout|dropout[123]d|\w*alpha_dropout|feature_\w*dropout|Lazy\w+|LPPool\dd|Bilinear|"
     r"Softmax2d|ChannelShuffle|channel_shuffle|CosineSimilarity|PairwiseDistance|RMSNorm|RReLU|rrelu|CrossMapLRN2d|"
     r"EmbeddingBag|embedding_bag|SyncBatchNorm|DataParallel|Container|Parameter(Dict|List)|Buffer|Uninitialized\w+|"
     r"Upsampling\w+|upsample_\w+|NLLLoss2d|gumbel_softmax|celu_"),
    ("the places of maxima are not kept, so nothing is put back there",
     r"(MaxUnpool|max_unpool|FractionalMaxPool)\w+|fractional_\w+"),
    ("sampling at computed places: no such row", r"grid_sample|affine_grid|Fold|Unfold|fold|unfold\w*|im2col|col2im"),
    ("optimisers beyond SGD, Adam, AdamW, RMSprop, Adagrad", r"ASGD|Ada(delta|factor|max)|LBFGS|Muon|[NR]Adam|Rprop"),
    ("schedules whose rate is not a function of the epochs alone, or several at once", r"ChainedScheduler|CyclicLR"),
    ("a weight (out, in) here is (in, out), so the call would mean another product: x @ weight + bias", r"linear"),
    ("random draws from other distributions: give NumPy's arrays, they are constants",
     r"bernoulli|binomial|poisson|multinomial|normal|randint_like|cauchy_|random"),
    ("indexing by masks and writing into parts: t[mask], ac.where, ac.put_along_axis",
     r"index|index_\w+|masked_\w+|take|choose|compress|extract|select_scatter|slice_scatter|diagonal_scatter|scatter_reduce|"
     r"delete|insert|trim_zeros|diagflat|diag_embed|tri\w*_indices\w*|diag_indices\w*|mask_indices|indices|ix_|"
     r"unravel_index|ravel_multi_index|fill_diagonal|select|take_along_dim|scatter|scatter_add|tri"),
    ("NumPy's files, text, printing, dtypes and settings: use NumPy's on t.value",
     r"array2?string|array_repr|array_str|format_float\w*|datetime_\w+|busday_\w+|is_busday|from(buffer|file|function|iter|"
     r"pyfunc|regex|string|_file)|frompyfunc|genfromtxt|loadtxt|save(txt|z|z_compressed)|get\w*|set\w*|show_\w+|printoptions|"
     r"info|test|typename|nested_iters|iterable|isscalar|isdtype|issubdtype|can_cast|promote_types|result_type|"
     r"min_scalar_type|asmatrix|bmat|asarray_chkfinite|asanyarray|array|dump|dumps|tofile|tobytes|tostring|"
     r"apply_along_axis|apply_over_axes|apply_|map_|map2_|from_dlpack|is_signed|is_floating_point|is_tensor|has\w*|"
     r"copy|einsum_path|numel|setflags|broadcast_shapes"),
    ("grids, spacings and shapes that NumPy makes as constants: ac.tensor(np.meshgrid(...))",
     r"meshgrid|logspace|geomspace|range|cartesian_prod|combinations|broadcast_(arrays|tensors)|block|rollaxis|dsplit|"
     r"tensor_split|sum_to_size|resize\w*|reshape_as|numpy.ndarray: diagonal|diagonal|new_\w+|type_as|gradient|select"),
    ("methods whose function is here: ac.name(t)",
     r"torch.Tensor: (allclose|isclose|arctan2|arccosh|arcsinh|arctanh|broadcast_to|fix|fliplr|flipud|rot90|"
     r"float_power|ger|hardshrink|hsplit|vsplit|kron|median|prelu|tensor_split|take_along_dim|solve|sgn|diagonal)"),
    ("functions whose method is here: t.name()",
     r"torch: (clone|detach|t|diagonal|index_select|numel)|allclose|isclose"),
    ("other dtypes", r"bfloat16|byte|char|short|half"),
    ("PyTorch's way of copying, compiling and describing modules: copy.deepcopy, ac.compile, repr",
     r"T_destination|call_super_init|compile|dump_patches|get_extra_state|set_extra_state|set_submodule|register_module|"
     r"get_buffer|type|volatile|functional_call|stack_module_state|linearize|grad_and_value|replace_all.*"),
    ("sparse starting weights, and a Dirac kernel: one line with assign", r"sparse_|dirac_"),
    ("micrograd's little nets: nn.Linear and nn.Sequential, or the classes as micrograd writes them, over ac.Scalar",
     r"micrograd nn: (Neuron|Layer|MLP)"),
]  # fmt: skip


def _reason(group: str, name: str) -> str:
    for reason, words in REASONS:
        for part in re.split(r"\|(?![^()]*\))", words):
            where, _, rest = part.partition(": ")
            pattern = rest if rest else part
            if (not rest or where == group) and re.fullmatch(pattern, name):
                return reason
    return ""


def table() -> dict[str, dict[str, str | None]]:
    """{group: {name: None where it is here, else the reason, "" for none}}"""
    names = json.loads(NAMES.read_text(encoding="utf-8"))
    names.pop("versions")
    return {
        group: {n: None if HERE[group](n) else _reason(group, n) for n in several} for group, several in names.items()
    }


def document(counted: dict[str, dict[str, str | None]]) -> str:
    """The text of docs/names.md."""
    versions = json.loads(NAMES.read_text(encoding="utf-8"))["versions"]
    total = sum(map(len, counted.values()))
    here = sum(reason is None for names in counted.values() for reason in names.values())
    rows = [
        f"| {group} | {sum(r is None for r in names.values())} | {len(names)} |" for group, names in counted.items()
    ]
    refused: dict[str, list[str]] = {}
    for names in counted.values():
        for n, reason in names.items():
            if reason is not None:
                refused.setdefault(reason, []).append(n)
    parts = [
        "# Names, counted",
        "",
        f"Made by `docs/names.py` from the public names of PyTorch {versions['torch']}, NumPy {versions['numpy']} and "
        f"micrograd: {here:,} of {total:,} are here.  Each that is here is tested against NumPy's or stored PyTorch "
        "results, with its gradient (`tests/test_names.py`); each that is not has a reason below.",
        "",
        "| names of | here | of |",
        "|---|---|---|",
        *rows,
        "",
        "## Not here, and why",
        "",
    ]
    for reason, _ in REASONS:
        if reason in refused:
            several = sorted(set(refused[reason]))
            parts += [f"**{reason[0].upper()}{reason[1:]}** ({len(several)})", "", f"`{' '.join(several)}`", ""]
    parts += ["## Here", ""]
    for group, names in counted.items():
        parts += [f"**{group}**", "", f"`{' '.join(n for n, r in names.items() if r is None)}`", ""]
    return "\n".join(parts)


if __name__ == "__main__":
    counted = table()
    missing = {g: [n for n, r in names.items() if r == ""] for g, names in counted.items()}
    for group, several in missing.items():
        if several:
            print(f"no reason: {group}: {' '.join(several)}")
    (ROOT / "docs" / "names.md").write_text(document(counted), encoding="utf-8")
