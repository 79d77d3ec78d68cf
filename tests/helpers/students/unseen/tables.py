"""Tables by hands of their own: affine, relu, softmax, svm and dropout, each right once and wrong in some ways."""
# ruff: noqa: E501 (sources as they were written)

from helpers.students.unseen.hands import student

# fmt: off
student("affine_plain", "cs231n.affine", '''
import numpy as np

def affine_forward(x, w, b):
    N = x.shape[0]
    out = x.reshape(N, -1).dot(w) + b
    cache = (x, w, b)
    return out, cache

def affine_backward(dout, cache):
    x, w, b = cache
    flat = np.reshape(x, (x.shape[0], -1))
    dx = np.dot(dout, w.T).reshape(x.shape)
    dw = np.dot(flat.T, dout)
    db = np.dot(np.ones(dout.shape[0]), dout)
    return dx, dw, db
''',
 ("mean_db", "mean", ("np.dot(np.ones(dout.shape[0]), dout)", "np.dot(np.ones(dout.shape[0]) / dout.shape[0], dout)")),
 ("averaged_all", "mean|count|factor", ("dw = np.dot(flat.T, dout)", "dw = np.dot(flat.T, dout) / x.shape[0]")),
 ("forder", "order|flatten", ("np.dot(dout, w.T).reshape(x.shape)", "np.dot(dout, w.T).reshape(x.shape, order='F')")),
 ("db_total", "bias|sum|axis|index that stays", ("db = np.dot(np.ones(dout.shape[0]), dout)", "db = np.sum(dout) * np.ones_like(b)")),
 ("wd", "weight decay|decay|multiple of the weight|plus", ("dw = np.dot(flat.T, dout)", "dw = np.dot(flat.T, dout) + 0.1 * w")),
)
student("affine_rows", "cs231n.affine", '''
import numpy as np

def affine_forward(x, w, b):
    out = np.array([w.T @ example.ravel() + b for example in x])
    return out, dict(x=x, w=w, b=b)

def affine_backward(dout, cache):
    dw = np.zeros(cache["w"].shape)
    db = np.zeros(cache["b"].shape)
    dx = []
    for example, g in zip(cache["x"], dout):
        dw += np.outer(example.ravel(), g)
        db += g
        dx.append((cache["w"] @ g).reshape(example.shape))
    return np.array(dx), dw, db
''',
 ("last_row", "last|overwritten|batch|only one", ("dw += np.outer", "dw = np.outer")),
 ("outer_T", "", ("np.outer(example.ravel(), g)", "np.outer(g, example.ravel()).reshape(dw.shape)")),
 ("early_return", "loop left|batch|only one", ("    return np.array(dx), dw, db", "        if len(dx) == len(dout) - 1:\n            break\n    dx.append(np.zeros_like(cache['x'][-1]))\n    return np.array(dx[:len(dout)]), dw, db")),
)
student("affine_einsum", "cs231n.affine", '''
import numpy as np

def affine_forward(x, w, b):
    x_flat = x.reshape(len(x), w.shape[0])
    return np.einsum("nd,dm->nm", x_flat, w) + b[None, :], (x, w)

def affine_backward(upstream, saved):
    inputs, weights = saved
    grads = {}
    grads["x"] = np.einsum("nm,dm->nd", upstream, weights)
    grads["w"] = np.einsum("nd,nm->dm", inputs.reshape(inputs.shape[0], -1), upstream)
    grads["b"] = np.einsum("nm->m", upstream)
    grads["x"].shape = inputs.shape
    return grads["x"], grads["w"], grads["b"]
''',
 ("no_pair", "product of sums", ('np.einsum("nd,nm->dm"', 'np.einsum("nd,km->dm"')),
 ("weights_abs", "function of a factor|abs", ('upstream, weights)', 'upstream, np.abs(weights))')),
)
student("relu_inplace", "cs231n.relu", '''
import numpy as np

def relu_forward(x):
    out = np.maximum(0, x)
    cache = x
    return out, cache

def relu_backward(dout, cache):
    x = cache
    dx = dout.copy()
    dx[x <= 0] = 0
    return dx
''',
 ("mutates", "", ("dx = dout.copy()", "dx = dout")),
 ("ones", "upstream", ("dx = dout.copy()", "dx = np.ones_like(dout)")),
 ("reversed", "inverted", ("x <= 0", "x > 0")),
 ("minus", "mask|activation", ("dx[x <= 0] = 0", "dx[x <= 0] *= -1")),
)
student("relu_loops", "cs231n.relu", '''
import numpy as np

def relu_forward(x):
    result = np.array(x, dtype=float)
    for position, value in np.ndenumerate(x):
        if value < 0:
            result[position] = 0.0
    return result, result

def relu_backward(dout, cache):
    dx = np.zeros_like(cache)
    for position, value in np.ndenumerate(cache):
        dx[position] = dout[position] if value > 0 else 0
    return dx
''',
 ("value", "activation instead|value", ("dout[position] if value", "dout[position] * value if value")),
 ("int_zeros", "", ("np.zeros_like(cache)", "np.zeros_like(cache, dtype=int)")),
 ("both_signs", "relu applied to the gradient|mask", ("if value > 0 else", "if value > 0 and dout[position] > 0 else")),
)
student("softmax_vec", "cs231n.softmax_loss", '''
import numpy as np

def softmax_loss(x, y):
    shifted = x - x.max(axis=1, keepdims=True)
    log_z = np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    log_p = shifted - log_z
    n = x.shape[0]
    loss = -log_p[np.arange(n), y].mean()
    dx = np.exp(log_p)
    dx[np.arange(n), y] -= 1
    dx /= n
    return loss, dx
''',
 ("all_minus", "one subtracted from every|target in the wrong place", ("dx[np.arange(n), y] -= 1", "dx[:, y] -= 1")),
 ("logs", "another function|logarithm", ("dx = np.exp(log_p)", "dx = log_p.copy()")),
 ("no_mean", "sum instead of mean|count", ("    dx /= n\n", ""), "dx[np.arange(n), y] -= 1", "return loss, dx"),
 ("classes", "count|axis", ("dx /= n", "dx /= x.shape[1]")),
 ("times_dp", "multiplied in again|derivative", ("dx /= n", "dx *= np.exp(log_p) * (1 - np.exp(log_p)) / n")),
 ("plus_one", "target|sign", ("-= 1", "+= 1")),
)
student("softmax_loops", "cs231n.softmax_loss", '''
import numpy as np

def softmax_loss(x, y):
    num_train, num_classes = x.shape
    loss, dx = 0.0, np.zeros((num_train, num_classes))
    for i in range(num_train):
        scores = x[i] - np.max(x[i])
        exps = np.exp(scores)
        total = exps.sum()
        loss += -scores[y[i]] + np.log(total)
        for c in range(num_classes):
            p = exps[c] / total
            if c == y[i]:
                dx[i, c] = p - 1
            else:
                dx[i, c] = p
    return loss / num_train, dx / num_train
''',
 ("unnorm", "not normalised", ("p = exps[c] / total", "p = exps[c]")),
 ("only_right", "only some of the classes|target", ("                dx[i, c] = p\n", "                dx[i, c] = 0\n")),
 ("forget_else", "only some of the classes", ("            else:\n                dx[i, c] = p\n", ""), "dx[i, c] = p - 1"),
 ("p1p", "sigmoid", ("                dx[i, c] = p\n", "                dx[i, c] = p * (1 - p)\n")),
)
student("svm_vec", "cs231n.svm_loss", '''
import numpy as np

def svm_loss(x, y):
    N = x.shape[0]
    correct = x[np.arange(N), y][:, np.newaxis]
    margins = np.maximum(0.0, x - correct + 1.0)
    margins[np.arange(N), y] = 0
    loss = margins.sum() / N
    positive = (margins > 0).astype(float)
    row = positive.sum(axis=1)
    dx = positive
    dx[np.arange(N), y] -= row
    dx = dx / N
    return loss, dx
''',
 ("minus_one", "target|one path|size|right class", ("dx[np.arange(N), y] -= row", "dx[np.arange(N), y] -= 1")),
 ("no_right", "only some of the classes|one path|target|forgotten|several paths", ("    dx[np.arange(N), y] -= row\n", ""), "dx = positive\n"),
 ("margins_val", "instead of its mask|value", ("positive = (margins > 0).astype(float)", "positive = margins.astype(float)")),
 ("rowsum_axis0", "axis|right class", ("row = positive.sum(axis=1)", "row = positive.sum(axis=0)[y]")),
)
student("svm_loops", "cs231n.svm_loss", '''
import numpy as np

def svm_loss(x, y):
    dx = np.zeros(x.shape)
    loss = 0.0
    N, C = x.shape
    for i in range(N):
        s_y = x[i][y[i]]
        for j in range(C):
            if j == y[i]:
                continue
            margin = x[i][j] - s_y + 1
            if margin > 0:
                loss += margin
                dx[i][j] += 1
                dx[i][y[i]] -= 1
    loss /= N
    dx /= N
    return loss, dx
''',
 ("else_branch", "mask|one path", ("                dx[i][y[i]] -= 1", "            dx[i][y[i]] -= 1")),
 ("no_y", "only some|one path|target|several paths", ("                dx[i][y[i]] -= 1\n", ""), "dx[i][j] += 1"),
 ("no_div", "sum instead of mean|count", ("    dx /= N\n", ""), "loss /= N", "return loss, dx"),
)
student("dropout", "cs231n.dropout", '''
import numpy as np

def dropout_forward(x, dropout_param):
    p, mode = dropout_param["p"], dropout_param["mode"]
    if "seed" in dropout_param:
        np.random.seed(dropout_param["seed"])
    mask, out = None, None
    if mode == "train":
        mask = (np.random.rand(*x.shape) < p) / p
        out = x * mask
    elif mode == "test":
        out = x
    return out.astype(x.dtype, copy=False), (dropout_param, mask)

def dropout_backward(dout, cache):
    dropout_param, mask = cache
    if dropout_param["mode"] == "train":
        return dout * mask
    return dout
''',
 ("scaled_again", "factor|squared|p", ("return dout * mask", "return dout * mask / dropout_param['p']")),
 ("new_mask", "", ("return dout * mask", "return dout * (np.random.rand(*dout.shape) < dropout_param['p']) / dropout_param['p']")),
 ("unscaled", "factor|scale", ("return dout * mask", "return dout * (mask > 0)")),
 ("modes_swapped", "", ('dropout_param["mode"] == "train"', 'dropout_param["mode"] != "train"')),
)
student("affine_relu", "cs231n.affine_relu", '''
import numpy as np

def affine_forward(x, w, b):
    return x.reshape(x.shape[0], -1) @ w + b, (x, w, b)

def affine_backward(dout, cache):
    x, w, b = cache
    x2 = x.reshape(x.shape[0], -1)
    return (dout @ w.T).reshape(x.shape), x2.T @ dout, dout.sum(0)

def relu_forward(x):
    return np.where(x > 0, x, 0), x

def relu_backward(dout, cache):
    return np.where(cache > 0, dout, 0)

def affine_relu_forward(x, w, b):
    a, fc_cache = affine_forward(x, w, b)
    out, relu_cache = relu_forward(a)
    return out, (fc_cache, relu_cache)

def affine_relu_backward(dout, cache):
    fc_cache, relu_cache = cache
    da = relu_backward(dout, relu_cache)
    dx, dw, db = affine_backward(da, fc_cache)
    return dx, dw, db
''',
 ("skip", "mask missing|local derivative forgotten", ("affine_backward(da, fc_cache)", "affine_backward(dout, fc_cache)")),
 ("relu_helper", "value|activation", ("return np.where(cache > 0, dout, 0)", "return np.where(cache > 0, dout * cache, 0)")),
 ("relu_on_dx", "mask|", ("    da = relu_backward(dout, relu_cache)\n    dx, dw, db = affine_backward(da, fc_cache)", "    dx, dw, db = affine_backward(dout, fc_cache)\n    dx = np.where(dx > 0, dx, 0)")),
)
# fmt: on
