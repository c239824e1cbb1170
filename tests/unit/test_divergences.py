"""Divergences against an oracle in plain NumPy (values by definition, gradients by finite differences), and the cases
in which other implementations fail: equal distributions, logits of -inf, empty batches, scaled losses, rounding."""

import math

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from pipestill.errors import UserError
from pipestill.losses.divergences import DIVERGENCES, token_divergence, value_and_gradient
from pipestill.losses.kinds import KINDS, complete_options

VARIANTS = [(kind, {}) for kind in KINDS] + [
    ("symmetric", {"lam": 0.9}),
    ("jsd", {"beta": 0.2}),
    ("sfkl", {"lam": 0.6}),
    ("srkl", {"lam": 0.6}),
    ("akl", {"order": "descending"}),
    ("akl", {"alpha": 0.2}),
    ("akl", {"alpha": 0.9, "order": "descending"}),
    ("todi", {"beta": 0}),
    ("todi", {"beta": 2.5}),
    ("todi", {"beta": 2.5, "stop_gradient": False}),
    ("ab", {"alpha": 1.5, "beta": 0.3}),
]
STEP = 1e-5


def names(variants):
    return ["-".join([kind, *(f"{name}={value}" for name, value in options.items())]) for kind, options in variants]


def kl(p, q):
    return float(np.sum(p * (np.log(p) - np.log(q))))


def head_of(p, alpha, order):
    """Members of the head by sorting, as AKL is published."""
    ascending = order == "ascending"
    ranks = np.argsort(p if ascending else -p, kind="stable")
    first = np.cumsum(p[ranks]) <= alpha
    head = np.empty(len(p), dtype=bool)
    if ascending:
        head[ranks] = ~first
    else:
        first[0] = True
        head[ranks] = first
    return head


def constants_of(kind, p, q, options):
    """What the definition's gradient takes for constants: weights of `todi`, gaps of `akl`."""
    if kind == "todi" and options["stop_gradient"]:
        return 1 / (1 + (q / p) ** options["beta"])
    if kind == "akl":
        head, gap = head_of(p, options["alpha"], options["order"]), np.abs(p - q)
        return gap[head].sum(), gap[~head].sum()
    return None


def oracle(kind, p, q, options, constants):
    """The value of one token by definition."""
    if kind == "fkl":
        return kl(p, q)
    if kind == "rkl":
        return kl(q, p)
    if kind == "jeffreys":
        return kl(p, q) + kl(q, p)
    if kind == "symmetric":
        return (1 - options["lam"]) * kl(p, q) + options["lam"] * kl(q, p)
    if kind == "jsd":
        m = options["beta"] * p + (1 - options["beta"]) * q
        return options["beta"] * kl(p, m) + (1 - options["beta"]) * kl(q, m)
    if kind == "tvd":
        return 0.5 * float(np.abs(p - q).sum())
    if kind == "sfkl":
        return kl(p, options["lam"] * p + (1 - options["lam"]) * q)
    if kind == "srkl":
        return kl(q, (1 - options["lam"]) * p + options["lam"] * q)
    if kind == "akl":
        head, tail = constants
        return (head * kl(p, q) + tail * kl(q, p)) / (head + tail)
    if kind == "todi":
        weight = 1 / (1 + (q / p) ** options["beta"]) if constants is None else constants
        return float(np.sum(weight * p * np.log(p / q) + (1 - weight) * q * np.log(q / p)))
    if kind == "ab":
        a, b = options["alpha"], options["beta"]
        return -float(np.sum(p**a * q**b - a / (a + b) * p ** (a + b) - b / (a + b) * q ** (a + b))) / (a * b)
    raise AssertionError(kind)


def oracle_of_row(kind, student, teacher, options, temperature):
    """Value of a token and its gradient by central differences of the student's logits, constants kept."""
    p, q = softmax(teacher / temperature), softmax(student / temperature)
    constants = constants_of(kind, p, q, options)

    def value(logits):
        return oracle(kind, p, softmax(logits / temperature), options, constants)

    steps = STEP * np.eye(len(student))
    return value(student), np.array([(value(student + step) - value(student - step)) / (2 * STEP) for step in steps])


def draw_logits(tokens=3, vocab=17, sharpness=2.0, seed=0):
    draw = np.random.default_rng(seed)
    return sharpness * draw.normal(size=(2, tokens, vocab))


def divergence_and_gradient(kind, student, teacher, **settings):
    logits = torch.as_tensor(student).clone().requires_grad_()
    values = token_divergence(kind, logits, torch.as_tensor(teacher), **settings)
    values.sum().backward()
    return values.detach(), logits.grad


@pytest.mark.parametrize("t_squared", [False, True])
@pytest.mark.parametrize("temperature", [1.0, 2.0, 0.7])
@pytest.mark.parametrize(("kind", "options"), VARIANTS, ids=names(VARIANTS))
def test_values_and_gradients_are_the_definition_s(kind, options, temperature, t_squared):
    """With T^2 the gradient grows as the value does: it is the gradient of what is returned."""
    student, teacher = draw_logits()
    settings = dict(temperature=temperature, t_squared=t_squared, **options)
    values, gradient = divergence_and_gradient(kind, student, teacher, **settings)
    scale = temperature**2 if t_squared else 1
    for row in range(len(student)):
        value, by_logits = oracle_of_row(kind, student[row], teacher[row], complete_options(kind, options), temperature)
        assert values[row].item() == pytest.approx(scale * value, rel=1e-10)
        np.testing.assert_allclose(gradient[row], scale * by_logits, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("kind", "options"),
    [v for v in VARIANTS if v[0] not in ("akl", "todi")] + [("todi", {"stop_gradient": False})],
    ids=lambda value: str(value),
)
def test_gradcheck(kind, options):
    """Where nothing is held constant the gradient is the one of the returned values, whatever comes behind them."""
    student, teacher = (torch.as_tensor(logits) for logits in draw_logits(tokens=2, vocab=6))

    def loss(logits):
        return token_divergence(kind, logits, teacher, temperature=2.0, **options) ** 2

    assert torch.autograd.gradcheck(loss, student.requires_grad_())


@pytest.mark.parametrize(("kind", "options"), VARIANTS, ids=names(VARIANTS))
def test_float32_is_as_good_as_its_digits(kind, options):
    """At a large vocabulary a softmax that adds up carelessly is off by 1e-5 and more."""
    draw = np.random.default_rng(1)
    teacher = -1.2 * np.log(np.arange(1, 60_001)) + draw.normal(size=(2, 60_000))
    student = (teacher + 0.7 * draw.normal(size=teacher.shape)).astype(np.float32)
    teacher = teacher.astype(np.float32)
    values, gradient = divergence_and_gradient(kind, student, teacher, **options)
    exact_values, exact = divergence_and_gradient(kind, student.astype(float), teacher.astype(float), **options)
    assert values.dtype == torch.float32
    torch.testing.assert_close(values.double(), exact_values, rtol=1e-5, atol=0)
    assert (gradient - exact).abs().max() < 2e-6 * exact.abs().max()
    assert gradient.sum(-1).abs().max() < 1e-6  # logits may be shifted by a constant


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize(("kind", "options"), VARIANTS, ids=names(VARIANTS))
def test_half_precision_is_computed_in_float32(kind, options, dtype):
    student, teacher = (torch.as_tensor(logits).to(dtype) for logits in draw_logits(vocab=300))
    values, gradient = divergence_and_gradient(kind, student, teacher, **options)
    wide_values, wide = divergence_and_gradient(kind, student.float(), teacher.float(), **options)
    assert torch.equal(values, wide_values)
    assert gradient.dtype == dtype
    torch.testing.assert_close(gradient, wide.to(dtype), rtol=0, atol=0)


def test_forward_divergence_contains_the_teacher_s_entropy():
    """Cross-entropy H(p, q) has the same gradient, but is no divergence: it is not 0 where the student is perfect."""
    student, teacher = draw_logits()
    values = token_divergence("fkl", torch.as_tensor(student), torch.as_tensor(teacher))
    p, entropy = softmax(teacher, -1), -(softmax(teacher, -1) * log_softmax(teacher, -1)).sum(-1)
    np.testing.assert_allclose(values, -(p * log_softmax(student, -1)).sum(-1) - entropy, rtol=1e-10)


def value_of(kind, **options):
    student, teacher = (torch.as_tensor(logits) for logits in draw_logits(tokens=4))
    return token_divergence(kind, student, teacher, **options)


def gradient_of(kind, **options):
    return divergence_and_gradient(kind, *draw_logits(tokens=4), **options)[1]


def test_identities_between_kinds():
    forward, reverse = value_of("fkl"), value_of("rkl")
    for value, expected, tolerance in [
        (value_of("jeffreys"), forward + reverse, 1e-12),
        (value_of("symmetric"), (forward + reverse) / 2, 1e-12),
        (value_of("todi"), forward + reverse, 1e-12),  # at beta = 1 the weights are p / (p + q)
        (value_of("todi", beta=0.0), (forward + reverse) / 2, 1e-12),
        (value_of("jsd", beta=1e-7) / 1e-7, forward, 1e-4),
        (value_of("jsd", beta=1 - 1e-7) / 1e-7, reverse, 1e-4),
        (value_of("sfkl", lam=1e-7), forward, 1e-4),
        (value_of("srkl", lam=1e-7), reverse, 1e-4),
        (value_of("sfkl", lam=0.5), (value_of("jsd") * 2 - value_of("srkl", lam=0.5)), 1e-12),
        (value_of("ab", alpha=1.0, beta=1e-6), forward, 1e-4),
        (value_of("ab", alpha=1e-6, beta=1.0), reverse, 1e-4),
    ]:
        torch.testing.assert_close(value, expected, rtol=tolerance, atol=tolerance)


def test_todi_differs_from_jeffreys_by_its_gradient_alone():
    """Closed form of the gradient under stop-gradient: FKL's, and RKL's damped by q / (p + q)."""
    student, teacher = draw_logits(tokens=4)
    p, q = softmax(teacher, -1), softmax(student, -1)
    damped = q**2 / (p + q) * np.log(q / p)
    np.testing.assert_allclose(gradient_of("todi"), q - p + damped - q * damped.sum(-1, keepdims=True), atol=1e-12)
    torch.testing.assert_close(gradient_of("todi", stop_gradient=False), gradient_of("jeffreys"))
    assert (gradient_of("todi") - gradient_of("jeffreys")).abs().max() > 0.01


@pytest.mark.parametrize("sharpness", [2.0, 60.0])  # at 60 probabilities underflow
@pytest.mark.parametrize(("kind", "options"), VARIANTS, ids=names(VARIANTS))
def test_equal_distributions_give_zero(kind, options, sharpness):
    """Published code divides 0 by 0 here (AKL), and takes logarithms of 0 (skewed divergences)."""
    _, teacher = draw_logits(tokens=5, vocab=500, sharpness=sharpness).astype(np.float32)
    values, gradient = divergence_and_gradient(kind, teacher, teacher, **options)
    assert torch.equal(values, torch.zeros(5))
    assert gradient.abs().max() < 1e-6


@pytest.mark.parametrize(("kind", "options"), VARIANTS, ids=names(VARIANTS))
def test_nearly_equal_distributions_are_not_negative(kind, options):
    _, teacher = draw_logits(tokens=500, vocab=50).astype(np.float32)
    student = teacher + 1e-6 * np.random.default_rng(1).normal(size=teacher.shape).astype(np.float32)
    assert token_divergence(kind, torch.as_tensor(student), torch.as_tensor(teacher), **options).min() >= 0


@pytest.mark.parametrize(("kind", "options"), VARIANTS, ids=names(VARIANTS))
def test_far_distributions_stay_finite(kind, options):
    """Probabilities underflow on both sides, at different places."""
    student, teacher = draw_logits(tokens=5, vocab=500, sharpness=60.0).astype(np.float32)
    values, gradient = divergence_and_gradient(kind, student, teacher, **options)
    exact, exact_gradient = divergence_and_gradient(kind, student.astype(float), teacher.astype(float), **options)
    torch.testing.assert_close(values.double(), exact, rtol=1e-5, atol=0)
    torch.testing.assert_close(
        gradient.double(), exact_gradient, rtol=1e-4, atol=1e-6 * (1 + exact_gradient.abs().max())
    )


EXCLUDED = {  # token: (ids that the student excludes, ids that the teacher excludes)
    "student": ([3], []),
    "teacher": ([], [4]),
    "both": ([3, 5], [3, 5]),
    "each": ([3], [4]),
}
INFINITE = {  # which of them make which kinds infinite
    "student": {"fkl", "jeffreys", "symmetric", "akl", "todi"},
    "teacher": {"rkl", "jeffreys", "symmetric", "akl", "todi"},
    "both": set(),
    "each": {"fkl", "rkl", "jeffreys", "symmetric", "akl", "todi"},
}


@pytest.mark.parametrize("case", EXCLUDED)
@pytest.mark.parametrize(("kind", "options"), VARIANTS, ids=names(VARIANTS))
def test_minus_infinity(kind, options, case):
    """Infinite values where the divergence is infinite, never NaN; gradients are finite; other rows do not notice."""
    student, teacher = draw_logits(tokens=3)
    plain_values, plain = divergence_and_gradient(kind, student, teacher, **options)
    student[1, EXCLUDED[case][0]] = -math.inf
    teacher[1, EXCLUDED[case][1]] = -math.inf
    values, gradient = divergence_and_gradient(kind, student, teacher, **options)
    assert bool(values[1].isinf()) == (kind in INFINITE[case])
    assert not values.isnan().any()
    assert gradient.isfinite().all()
    for row in (0, 2):
        assert values[row] == plain_values[row]
        assert torch.equal(gradient[row], plain[row])
    if case == "both":  # as if the ids were not there
        rest = [i for i in range(student.shape[1]) if i not in EXCLUDED[case][0]]
        less, less_gradient = divergence_and_gradient(kind, student[:, rest], teacher[:, rest], **options)
        assert values[1].item() == pytest.approx(less[1].item(), rel=1e-12)
        torch.testing.assert_close(gradient[1, rest], less_gradient[1])
        assert gradient[1, EXCLUDED[case][0]].abs().max() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_nan_is_not_hidden(kind):
    student, teacher = (torch.as_tensor(logits) for logits in draw_logits())
    student[1, 2] = math.nan
    teacher[2, 3] = math.nan
    assert token_divergence(kind, student, teacher).isnan().tolist() == [False, True, True]
    values, _ = value_and_gradient(kind, teacher, student)
    assert values.isnan().tolist() == [False, True, True]


@pytest.mark.parametrize("kind", KINDS)
def test_no_tokens(kind):
    values, gradient = divergence_and_gradient(kind, torch.empty(0, 9), torch.empty(0, 9))
    assert values.shape == (0,)
    assert values.sum() == 0
    assert gradient.shape == (0, 9)


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_are_not_written(kind):
    student, teacher = (torch.as_tensor(logits) for logits in draw_logits())
    student[0, 0] = teacher[1, 1] = -math.inf
    copies = student.clone(), teacher.clone()
    divergence_and_gradient(kind, student, teacher, temperature=2.0, t_squared=True)
    value_and_gradient(kind, *copies)
    assert torch.equal(student, copies[0])
    assert torch.equal(teacher, copies[1])


@pytest.mark.parametrize("kind", KINDS)
def test_rows_do_not_know_of_each_other(kind, monkeypatch):
    """So a batch may be cut into micro-batches, and blocks be of any size."""
    student, teacher = draw_logits(tokens=7)
    values, gradient = divergence_and_gradient(kind, student, teacher)
    parts = [divergence_and_gradient(kind, student[rows], teacher[rows]) for rows in (slice(0, 3), slice(3, 7))]
    torch.testing.assert_close(torch.cat([part[0] for part in parts]), values, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(torch.cat([part[1] for part in parts]), gradient, rtol=1e-12, atol=1e-14)
    monkeypatch.setattr("pipestill.losses.divergences.CPU_BLOCK", 2 * student.shape[1])
    blockwise = divergence_and_gradient(kind, student, teacher)
    torch.testing.assert_close(blockwise, (values, gradient), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("kind", "options"), VARIANTS, ids=names(VARIANTS))
def test_any_bins_will_do(kind, options):
    """Log-probabilities of a few ids, and of all others in one bin."""
    student, teacher = (log_softmax(logits, -1) for logits in draw_logits(tokens=2, vocab=40))
    lumped = [
        np.concatenate([logs[:, :5], np.log(np.exp(logs[:, 5:]).sum(-1, keepdims=True))], axis=1)
        for logs in (student, teacher)
    ]
    log_q, log_p = map(torch.as_tensor, lumped)
    values, gradient = value_and_gradient(kind, log_p, log_q, **options)
    by_logits = gradient - log_q.exp() * gradient.sum(-1, keepdim=True)
    expected_values, expected = divergence_and_gradient(kind, *lumped, **options)
    torch.testing.assert_close(values, expected_values)
    torch.testing.assert_close(by_logits, expected)


@pytest.mark.parametrize("order", ["ascending", "descending"])
@pytest.mark.parametrize("alpha", [0.1, 0.5, 0.95])
@pytest.mark.parametrize("teacher_kind", ["peaked", "flat", "uniform", "coarse", "certain"])
def test_akl_is_the_sorted_definition(teacher_kind, alpha, order):
    """With heads of one id and of thousands, and with many equal probabilities at the border."""
    draw = np.random.default_rng(3)
    vocab, options = 3001, {"alpha": alpha, "order": order}
    teacher = {
        "peaked": 5 * draw.normal(size=(4, vocab)),
        "flat": 0.1 * draw.normal(size=(4, vocab)),
        "uniform": np.zeros((4, vocab)),
        "coarse": np.round(draw.normal(size=(4, vocab))),
        "certain": np.where(np.arange(vocab) == 7, 50.0, 0.0)[None].repeat(4, axis=0),
    }[teacher_kind]
    student = draw.normal(size=teacher.shape)
    values, gradient = divergence_and_gradient("akl", student, teacher, **options)
    for row in range(len(student)):
        p, q = softmax(teacher[row]), softmax(student[row])
        constants = constants_of("akl", p, q, options)
        assert values[row].item() == pytest.approx(oracle("akl", p, q, options, constants), rel=1e-9)
        share = constants[0] / sum(constants)
        expected = share * (q - p) + (1 - share) * q * (np.log(q / p) - kl(q, p))
        np.testing.assert_allclose(gradient[row], expected, atol=1e-12)


def test_every_kind_has_a_function():
    assert list(DIVERGENCES) == list(KINDS)


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("kl", {}, "no divergence 'kl'; choose one of fkl"),
        ("fkl", {"lam": 0.1}, "Option 'lam' of the divergence fkl: .* not permitted, not 0.1; its options are: none"),
        ("todi", {"alpha": 1}, "its options are: beta, stop_gradient"),
        ("todi", {"beta": -1}, "greater than or equal to 0, not -1"),
        ("todi", {"beta": math.nan}, "a finite number, not nan"),
        ("todi", {"stop_gradient": 1}, "a valid boolean, not 1"),
        ("jsd", {"beta": 0}, "greater than 0, not 0"),
        ("jsd", {"beta": 1}, "less than 1, not 1"),
        ("jsd", {"beta": math.nan}, "a finite number, not nan"),
        ("sfkl", {"lam": True}, "a valid number, not True"),
        ("ab", {"alpha": 0}, "greater than or equal to 0.000001, not 0"),
        ("ab", {"beta": math.inf}, "a finite number, not inf"),
        ("akl", {"order": "up"}, "'ascending' or 'descending', not 'up'"),
    ],
)
def test_wrong_kinds_and_options_are_named(kind, options, words):
    with pytest.raises(UserError, match=words):
        complete_options(kind, options)
    with pytest.raises(UserError, match=words):
        token_divergence(kind, torch.zeros(1, 3), torch.zeros(1, 3), **options)


def test_defaults_are_valid_and_complete():
    defaults = {kind: complete_options(kind, {}) for kind in KINDS}
    assert {kind: options for kind, options in defaults.items() if options} == {
        "symmetric": {"lam": 0.5},
        "jsd": {"beta": 0.5},
        "sfkl": {"lam": 0.1},
        "srkl": {"lam": 0.1},
        "akl": {"alpha": 0.5, "order": "ascending"},
        "todi": {"beta": 1.0, "stop_gradient": True},
        "ab": {"alpha": 0.2, "beta": 0.7},
    }
    for kind, options in defaults.items():
        assert complete_options(kind, options) == options


def test_wrong_shapes_and_temperatures_are_refused():
    with pytest.raises(UserError, match=r"\[2, 5\] of the student and \[2, 6\] of the teacher"):
        token_divergence("fkl", torch.zeros(2, 5), torch.zeros(2, 6))
    with pytest.raises(UserError, match="one shape"):
        token_divergence("fkl", torch.zeros(1, 2, 5), torch.zeros(1, 2, 5))
    for temperature in (0.0, -1.0, math.inf):
        with pytest.raises(UserError, match="temperature"):
            token_divergence("fkl", torch.zeros(2, 5), torch.zeros(2, 5), temperature=temperature)
