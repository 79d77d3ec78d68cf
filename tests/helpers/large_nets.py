"""Nets that are too large to write out in scalars: ResNet-18, VGG-11, a U-Net and a block of a vision transformer.

Each function takes a layout and gives (model, shape of one example), channels as the layout says; weights are random.
The nets are written from their papers (He 2016, Simonyan 2015, Ronneberger 2015, Dosovitskiy 2021).
"""

from itertools import pairwise

import numpy as np

import autoconv as ac
from autoconv import nn


class _Made:
    """Layers of one layout, initialised from one generator."""

    def __init__(self, layout, seed=0):
        self.layout, self.rng = layout, np.random.default_rng(seed)

    def conv(self, c_in, c_out, kernel=3, stride=1, padding=1, bias=False):
        more = {"layout": self.layout, "rng": self.rng}
        return nn.Conv2d(c_in, c_out, kernel, stride=stride, padding=padding, bias=bias, **more)

    def norm(self, channels):
        return nn.BatchNorm2d(channels, layout=self.layout)

    def linear(self, n_in, n_out):
        return nn.Linear(n_in, n_out, rng=self.rng)

    def image(self, size, channels):
        return (channels, size, size) if self.layout == "channels_first" else (size, size, channels)


class BasicBlock(nn.Layer):
    """Two convolutions beside the identity, or beside a convolution of size 1 where the shape changes."""

    def __init__(self, made, c_in, c_out, stride):
        self.conv1, self.bn1 = made.conv(c_in, c_out, stride=stride), made.norm(c_out)
        self.conv2, self.bn2 = made.conv(c_out, c_out), made.norm(c_out)
        self.downsample = None
        if stride != 1 or c_in != c_out:
            self.downsample = nn.Sequential(made.conv(c_in, c_out, 1, stride, 0), made.norm(c_out))

    def forward(self, x):
        h = self.bn2(self.conv2(ac.relu(self.bn1(self.conv1(x)))))
        return ac.relu(h + (x if self.downsample is None else self.downsample(x)))


class ResNet18(nn.Layer):
    def __init__(self, made, classes=10, width=64):
        self.conv1, self.bn1 = made.conv(3, width, 7, 2, 3), made.norm(width)
        self.relu, self.maxpool = nn.ReLU(), nn.MaxPool2d(3, stride=2, padding=1, layout=made.layout)
        blocks = lambda a, b, stride: nn.Sequential(BasicBlock(made, a, b, stride), BasicBlock(made, b, b, 1))
        self.layer1, self.layer2 = blocks(width, width, 1), blocks(width, 2 * width, 2)
        self.layer3, self.layer4 = blocks(2 * width, 4 * width, 2), blocks(4 * width, 8 * width, 2)
        self.avgpool, self.fc = nn.GlobalAvgPool(layout=made.layout), made.linear(8 * width, classes)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return self.fc(self.avgpool(self.layer4(self.layer3(self.layer2(self.layer1(x))))))


class Vgg11(nn.Layer):
    def __init__(self, made, classes=10):
        layers, channels = [], 3
        for width in (64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"):
            if width == "M":
                layers.append(nn.MaxPool2d(2, layout=made.layout))
            else:
                layers += [made.conv(channels, width, bias=True), made.norm(width), nn.ReLU()]
                channels = width
        self.features, self.classifier = nn.Sequential(*layers), made.linear(512, classes)

    def forward(self, x):
        return self.classifier(ac.flatten(self.features(x)))


class UNet(nn.Layer):
    def __init__(self, made, width=8, classes=2):
        twice = lambda a, b: nn.Sequential(
            made.conv(a, b), made.norm(b), nn.ReLU(), made.conv(b, b), made.norm(b), nn.ReLU()
        )
        up = lambda a, b: nn.ConvTranspose2d(a, b, 2, stride=2, layout=made.layout, rng=made.rng)
        w = [width * 2**i for i in range(5)]
        self.axis = 1 if made.layout == "channels_first" else -1
        self.inc, self.pool = twice(3, w[0]), nn.MaxPool2d(2, layout=made.layout)
        self.down1, self.down2, self.down3, self.down4 = (twice(a, b) for a, b in pairwise(w))
        self.up1, self.up2, self.up3, self.up4 = (up(a, b) for a, b in pairwise(w[::-1]))
        self.join1, self.join2, self.join3, self.join4 = (twice(2 * a, a) for a in w[-2::-1])
        self.outc = made.conv(w[0], classes, 1, padding=0, bias=True)

    def forward(self, x):
        kept = [self.inc(x)]
        for down in (self.down1, self.down2, self.down3, self.down4):
            kept.append(down(self.pool(kept[-1])))
        h = kept.pop()
        for up, join in (
            (self.up1, self.join1),
            (self.up2, self.join2),
            (self.up3, self.join3),
            (self.up4, self.join4),
        ):
            h = join(ac.concat([kept.pop(), up(h)], axis=self.axis))
        return self.outc(h)


class Attention(nn.Layer):
    def __init__(self, made, width, heads):
        self.heads, self.qkv, self.proj = heads, made.linear(width, 3 * width), made.linear(width, width)

    def forward(self, x):
        n, t, c = x.shape
        parts = ac.permute_dims(ac.reshape(self.qkv(x), (n, t, 3, self.heads, c // self.heads)), (2, 0, 3, 1, 4))
        q, k, v = parts[0], parts[1], parts[2]
        a = ac.softmax(q @ ac.permute_dims(k, (0, 1, 3, 2)) / np.float32(np.sqrt(c // self.heads)), axis=-1)
        return self.proj(ac.reshape(ac.permute_dims(a @ v, (0, 2, 1, 3)), (n, t, c)))


class VitBlock(nn.Layer):
    """Patches of 8x8 pixels, one block, the mean of the tokens, 10 classes."""

    def __init__(self, made, width=64, heads=4):
        self.layout = made.layout
        self.patch = made.conv(3, width, 8, stride=8, padding=0, bias=True)
        self.norm1, self.attn, self.norm2 = nn.LayerNorm(width), Attention(made, width, heads), nn.LayerNorm(width)
        self.mlp = nn.Sequential(made.linear(width, 4 * width), nn.GELU(), made.linear(4 * width, width))
        self.head = made.linear(width, 10)

    def forward(self, x):
        h = self.patch(x)
        if self.layout == "channels_first":
            h = ac.permute_dims(h, (0, 2, 3, 1))
        h = ac.reshape(h, (h.shape[0], -1, h.shape[-1]))
        h = h + self.attn(self.norm1(h))
        h = h + self.mlp(self.norm2(h))
        return self.head(ac.mean(h, axis=1))


def resnet18(layout="channels_first", size=64):
    made = _Made(layout)
    return ResNet18(made), made.image(size, 3)


def vgg11(layout="channels_first", size=32):
    made = _Made(layout)
    return Vgg11(made), made.image(size, 3)


def unet(layout="channels_first", size=64):
    made = _Made(layout)
    return UNet(made), made.image(size, 3)


def vit_block(layout="channels_first", size=64):
    made = _Made(layout)
    return VitBlock(made), made.image(size, 3)


NETS = {"resnet18": resnet18, "vgg11": vgg11, "unet": unet, "vit_block": vit_block}


def loss_of(model, shape, batch=1):
    """(loss, x, y): the model on random images, and a cross entropy (of all pixels, for a U-Net)."""
    rng = np.random.default_rng(1)
    x = ac.tensor(rng.normal(size=(batch, *shape)).astype(np.float32), name="x")
    y = model(x)
    flat = y if y.ndim == 2 else ac.reshape(y, (-1, 2))
    return ac.losses.cross_entropy(flat, rng.integers(0, flat.shape[1], len(flat))), x, y
