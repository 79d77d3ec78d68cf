"""Networks in PyTorch for the tests of ``from_torch``: known architectures, in small, in these tests' own words."""

import torch
import torch.nn.functional as F  # noqa: N812 (PyTorch's habit)
from torch import nn


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16, 24)
        self.fc2 = nn.Linear(24, 10)

    def forward(self, x):
        x = F.max_pool2d(torch.tanh(self.conv1(x)), 2)
        x = F.avg_pool2d(F.relu(self.conv2(x)), 2)
        x = x.view(x.size(0), -1)
        return self.fc2(F.relu(self.fc1(x)))


def vgg(plan, channels, classes):
    """Convolutions with batch normalisation by a plan of widths, "M" for a pooling."""
    layers = []
    for width in plan:
        if width == "M":
            layers.append(nn.MaxPool2d(2, 2))
        else:
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
            channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(channels * 4, 16), nn.ReLU(True),
                         nn.Dropout(0.0), nn.Linear(16, classes))  # fmt: skip


class BasicBlock(nn.Module):
    def __init__(self, inside, outside, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or inside != outside:
            self.downsample = nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside))

    def forward(self, x):
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += identity
        return self.relu(out)


class ResNet18(nn.Module):
    def __init__(self, width=64, classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inside = width
        for k, stride in enumerate((1, 2, 2, 2)):
            outside = width * 2**k
            blocks = nn.Sequential(BasicBlock(inside, outside, stride), BasicBlock(outside, outside))
            setattr(self, f"layer{k + 1}", blocks)
            inside = outside
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(inside, classes)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


class PaddedShortcut(nn.Module):
    """The parameter-free shortcut of the CIFAR nets: every other position, zeros for the new channels."""

    def __init__(self, inside, outside, stride):
        super().__init__()
        self.stride, self.more = stride, outside - inside
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.more or self.stride > 1:
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.more // 2, self.more - self.more // 2))
        return F.relu(y + x)


class ResNet20(nn.Module):
    def __init__(self, width=16, depth=3, classes=10):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        plan = [(width, width, 1)] + [(width, width, 1)] * (depth - 1)
        for inside in (width, 2 * width):
            plan += [(inside, 2 * inside, 2)] + [(2 * inside, 2 * inside, 1)] * (depth - 1)
        self.blocks = nn.ModuleList([PaddedShortcut(*block) for block in plan])
        self.head = nn.Linear(4 * width, classes)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean([2, 3]))


class InvertedResidual(nn.Module):
    def __init__(self, inside, outside, stride, ratio):
        super().__init__()
        hidden = inside * ratio
        self.use_res_connect = stride == 1 and inside == outside
        layers = (
            [nn.Conv2d(inside, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU6(inplace=True)]
            if ratio > 1
            else []
        )
        self.conv = nn.Sequential(
            *layers,
            nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU6(inplace=True),
            nn.Conv2d(hidden, outside, 1, bias=False),
            nn.BatchNorm2d(outside),
        )

    def forward(self, x):
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


class MobileNetV2(nn.Module):
    def __init__(self, width=8, classes=10):
        super().__init__()
        features = [
            nn.Sequential(nn.Conv2d(3, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU6(inplace=True))
        ]
        for inside, outside, stride, ratio in ((width, 4, 1, 1), (4, 6, 2, 6), (6, 6, 1, 6), (6, 8, 2, 6)):
            features.append(InvertedResidual(inside, outside, stride, ratio))
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(nn.Dropout(0.0), nn.Linear(8, classes))

    def forward(self, x):
        x = self.features(x)
        x = F.adaptive_avg_pool2d(x, (1, 1)).reshape(x.shape[0], -1)
        return self.classifier(x)


class SqueezeExcite(nn.Module):
    def __init__(self, channels, squeezed, gate):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc1, self.fc2 = nn.Conv2d(channels, squeezed, 1), nn.Conv2d(squeezed, channels, 1)
        self.gate = gate

    def forward(self, x):
        return x * self.gate(self.fc2(F.relu(self.fc1(self.pool(x)))))


class MobileNetV3Block(nn.Module):
    def __init__(self, channels=6, hidden=12):
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(channels, hidden, 1, bias=False), nn.BatchNorm2d(hidden, 0.001, 0.01), nn.Hardswish(),
            nn.Conv2d(hidden, hidden, 5, 1, 2, groups=hidden, bias=False), nn.BatchNorm2d(hidden), nn.Hardswish(),
            SqueezeExcite(hidden, 4, nn.Hardsigmoid()),
            nn.Conv2d(hidden, channels, 1, bias=False), nn.BatchNorm2d(channels),
        )  # fmt: skip

    def forward(self, x):
        return self.block(x) + x


class Fire(nn.Module):
    def __init__(self, inside, squeezed, each):
        super().__init__()
        self.squeeze = nn.Conv2d(inside, squeezed, 1)
        self.expand1x1, self.expand3x3 = nn.Conv2d(squeezed, each, 1), nn.Conv2d(squeezed, each, 3, padding=1)
        self.activation = nn.ReLU(inplace=True)

    def forward(self, x):
        x = self.activation(self.squeeze(x))
        return torch.cat([self.activation(self.expand1x1(x)), self.activation(self.expand3x3(x))], 1)


class SqueezeNet(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, ceil_mode=True), Fire(8, 4, 6),
            Fire(12, 4, 6), nn.MaxPool2d(3, 2, ceil_mode=True), Fire(12, 4, 8),
        )  # fmt: skip
        self.classifier = nn.Sequential(
            nn.Dropout(0.0), nn.Conv2d(16, classes, 1), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1)
        )

    def forward(self, x):
        return torch.flatten(self.classifier(self.features(x)), 1)


class DenseLayer(nn.Module):
    def __init__(self, inside, growth):
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(inside), nn.Conv2d(inside, 2 * growth, 1, bias=False)
        self.norm2, self.conv2 = nn.BatchNorm2d(2 * growth), nn.Conv2d(2 * growth, growth, 3, padding=1, bias=False)

    def forward(self, features):
        x = self.conv1(F.relu(self.norm1(torch.cat(features, 1))))
        return self.conv2(F.relu(self.norm2(x)))


class DenseNet(nn.Module):
    def __init__(self, growth=4, classes=10):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.layers1 = nn.ModuleList([DenseLayer(8 + i * growth, growth) for i in range(3)])
        self.transition = nn.Sequential(
            nn.BatchNorm2d(20), nn.ReLU(), nn.Conv2d(20, 10, 1, bias=False), nn.AvgPool2d(2)
        )
        self.layers2 = nn.ModuleList([DenseLayer(10 + i * growth, growth) for i in range(2)])
        self.norm, self.classifier = nn.BatchNorm2d(18), nn.Linear(18, classes)

    def forward(self, x):
        features = [self.stem(x)]
        for layer in self.layers1:
            features.append(layer(features))
        features = [self.transition(torch.cat(features, 1))]
        for layer in self.layers2:
            features.append(layer(features))
        x = F.relu(self.norm(torch.cat(features, 1)), inplace=True)
        return self.classifier(torch.flatten(F.adaptive_avg_pool2d(x, (1, 1)), 1))


class EfficientNetBlock(nn.Module):
    def __init__(self, channels=4, hidden=8):
        super().__init__()
        self.expand = nn.Sequential(
            nn.Conv2d(channels, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.SiLU(inplace=True)
        )
        self.depthwise = nn.Sequential(
            nn.Conv2d(hidden, hidden, 3, 1, 1, groups=hidden, bias=False), nn.BatchNorm2d(hidden), nn.SiLU(inplace=True)
        )
        self.se = SqueezeExcite(hidden, 2, nn.Sigmoid())
        self.project = nn.Sequential(nn.Conv2d(hidden, channels, 1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x):
        return self.project(self.se(self.depthwise(self.expand(x)))) + x


def double_conv(inside, outside):
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, padding=1), nn.BatchNorm2d(outside), nn.ReLU(inplace=True),
        nn.Conv2d(outside, outside, 3, padding=1), nn.BatchNorm2d(outside), nn.ReLU(inplace=True),
    )  # fmt: skip


class UNet(nn.Module):
    """Bilinear or transposed upsampling; a level of odd size is padded to its skip's."""

    def __init__(self, width=4, bilinear=True, classes=2):
        super().__init__()
        self.inc, self.down1, self.down2 = (
            double_conv(1, width),
            double_conv(width, 2 * width),
            double_conv(2 * width, 2 * width if bilinear else 4 * width),
        )
        if bilinear:
            self.up1 = self.up2 = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        else:
            self.up1, self.up2 = (
                nn.ConvTranspose2d(4 * width, 2 * width, 2, 2),
                nn.ConvTranspose2d(2 * width, width, 2, 2),
            )
        self.conv1, self.conv2 = double_conv(4 * width, width if bilinear else 2 * width), double_conv(2 * width, width)
        self.out = nn.Conv2d(width, classes, 1)

    def forward(self, x):
        x1 = self.inc(x)
        x2 = self.down1(F.max_pool2d(x1, 2))
        x3 = self.down2(F.max_pool2d(x2, 2))
        x = self.conv1(torch.cat([x2, self.joined(self.up1(x3), x2)], dim=1))
        x = self.conv2(torch.cat([x1, self.joined(self.up2(x), x1)], dim=1))
        return self.out(x)

    def joined(self, x, like):
        dy, dx = like.size()[2] - x.size()[2], like.size()[3] - x.size()[3]
        return F.pad(x, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2])


class DCGANGenerator(nn.Module):
    def __init__(self, noise=8, width=4):
        super().__init__()
        self.main = nn.Sequential(
            nn.ConvTranspose2d(noise, 4 * width, 4, 1, 0, bias=False), nn.BatchNorm2d(4 * width), nn.ReLU(True),
            nn.ConvTranspose2d(4 * width, 2 * width, 4, 2, 1, bias=False), nn.BatchNorm2d(2 * width), nn.ReLU(True),
            nn.ConvTranspose2d(2 * width, 3, 4, 2, 1, bias=False), nn.Tanh(),
        )  # fmt: skip

    def forward(self, z):
        return self.main(z.view(-1, z.shape[1], 1, 1))


class SelfAttention(nn.Module):
    """Heads by hand, as small transformers write them; causal where asked."""

    def __init__(self, width, heads, causal=False, length=16):
        super().__init__()
        self.heads, self.causal = heads, causal
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.attn_drop = nn.Dropout(0.0)
        self.register_buffer("mask", torch.tril(torch.ones(length, length)).view(1, 1, length, length))

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = self.qkv(x).reshape(b, t, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        scores = (q @ k.transpose(-2, -1)) * (c // self.heads) ** -0.5
        if self.causal:
            scores = scores.masked_fill(self.mask[:, :, :t, :t] == 0, float("-inf"))
        y = self.attn_drop(F.softmax(scores, dim=-1)) @ v
        return self.proj(y.transpose(1, 2).contiguous().view(b, t, c))


class TransformerBlock(nn.Module):
    def __init__(self, width, heads, causal=False):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = SelfAttention(width, heads, causal)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU("tanh" if causal else "none"), nn.Linear(2 * width, width)
        )

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class ViT(nn.Module):
    def __init__(self, width=12, patch=4, size=8, classes=5):
        super().__init__()
        self.conv_proj = nn.Conv2d(3, width, patch, patch)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width) + 0.1)
        self.pos_embedding = nn.Parameter(torch.linspace(-1, 1, ((size // patch) ** 2 + 1) * width).view(1, -1, width))
        self.block = TransformerBlock(width, 3)
        self.ln, self.head = nn.LayerNorm(width, eps=1e-6), nn.Linear(width, classes)

    def forward(self, x):
        x = self.conv_proj(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.class_token.expand(x.shape[0], -1, -1), x), dim=1) + self.pos_embedding
        return self.head(self.ln(self.block(x))[:, 0])


class GPT(nn.Module):
    """Token and position embeddings, a causal block, and a head that shares the token embedding's weight."""

    def __init__(self, vocabulary=11, width=8, length=16):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        self.block, self.ln_f = TransformerBlock(width, 2, causal=True), nn.LayerNorm(width)
        self.lm_head = nn.Linear(width, vocabulary, bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(self, tokens):
        positions = torch.arange(0, tokens.size(1), dtype=torch.long, device=tokens.device).unsqueeze(0)
        x = self.wte(tokens) + self.wpe(positions)
        return self.lm_head(self.ln_f(self.block(x)))


class AudioNet(nn.Module):
    def __init__(self, classes=4):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(1, 6, 9, stride=2, padding=4), nn.BatchNorm1d(6), nn.LeakyReLU(0.1), nn.MaxPool1d(2),
            nn.Conv1d(6, 8, 3, dilation=2, padding=2, padding_mode="replicate"),
            nn.InstanceNorm1d(8, affine=True), nn.ELU(),
            nn.AvgPool1d(3, 2, 1, count_include_pad=False),
        )  # fmt: skip
        self.fc = nn.Linear(8, classes)

    def forward(self, x):
        return F.log_softmax(self.fc(self.layers(x).mean(dim=-1)), dim=1)


class VolumeNet(nn.Module):
    def __init__(self, classes=3):
        super().__init__()
        self.conv1, self.norm = nn.Conv3d(1, 4, 3, padding=1), nn.GroupNorm(2, 4)
        self.conv2, self.bn = nn.Conv3d(4, 6, (1, 3, 3), stride=(1, 2, 2)), nn.BatchNorm3d(6)
        self.fc = nn.Linear(6, classes)

    def forward(self, x):
        x = F.max_pool3d(F.relu(self.norm(self.conv1(x))), 2)
        x = F.softplus(self.bn(self.conv2(x)))
        return self.fc(torch.flatten(F.adaptive_avg_pool3d(x, 1), 1))


# name -> (a function that makes the network, the shape of an example, the size of a vocabulary if it takes tokens)
NETS = {
    "lenet": (LeNet, (2, 1, 12, 12), 0),
    "vgg_bn": (lambda: vgg([4, "M", 6, 6, "M"], 3, 5), (3, 3, 8, 8), 0),
    "resnet18": (lambda: ResNet18(width=2), (2, 3, 64, 48), 0),
    "resnet20": (lambda: ResNet20(width=2, depth=2), (2, 3, 12, 12), 0),
    "mobilenet_v2": (MobileNetV2, (3, 3, 16, 16), 0),
    "mobilenet_v3_block": (MobileNetV3Block, (2, 6, 5, 5), 0),
    "squeezenet": (SqueezeNet, (2, 3, 24, 24), 0),
    "densenet": (DenseNet, (2, 3, 8, 8), 0),
    "efficientnet_block": (EfficientNetBlock, (2, 4, 6, 6), 0),
    "unet_bilinear": (UNet, (2, 1, 10, 8), 0),
    "unet_transposed": (lambda: UNet(width=3, bilinear=False), (2, 1, 8, 12), 0),
    "dcgan_generator": (lambda: DCGANGenerator(width=2), (3, 8), 0),
    "vit_block": (ViT, (2, 3, 8, 8), 0),
    "gpt_block": (GPT, (2, 6), 11),
    "audio_1d": (AudioNet, (2, 1, 24), 0),
    "volume_3d": (VolumeNet, (2, 1, 6, 8, 8), 0),
}


def example(name, dtype=torch.float32, seed=0):
    """A network of the table with random weights and statistics, and an example input."""
    make, shape, vocabulary = NETS[name]
    torch.manual_seed(seed)
    net = make()
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.ndim == 1:  # scales and shifts that are not 1 and 0
                parameter.add_(0.1 * torch.randn(parameter.shape))
        for key, buffer in net.named_buffers():
            if key.endswith("running_mean"):
                buffer.normal_(0, 0.1)
            elif key.endswith("running_var"):
                buffer.uniform_(0.5, 1.5)
    x = torch.randint(0, vocabulary, shape) if vocabulary else torch.randn(shape).to(dtype)
    return net.to(dtype), x
