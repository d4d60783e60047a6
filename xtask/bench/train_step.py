"""Times PyTorch eager on one training step of ResNet-50: 32 RGB images of 64 px, 8 labels, Adam.

The network is the torchvision one (bottlenecks that stride in their 3x3 convolution), in training mode,
with binary cross-entropy on the logits. The step runs in whichever memory layout is faster.
"""

import time

import torch
from torch import nn

from measure import arguments, measure

BATCH, SIDE, LABELS = 32, 64, 8


def convolution(inputs, outputs, kernel, stride=1):
    return [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
    ]


class Bottleneck(nn.Module):
    def __init__(self, inputs, width, stride):
        super().__init__()
        outputs = 4 * width
        self.body = nn.Sequential(
            *convolution(inputs, width, 1),
            nn.ReLU(inplace=True),
            *convolution(width, width, 3, stride),
            nn.ReLU(inplace=True),
            *convolution(width, outputs, 1),
        )
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else nn.Sequential(*convolution(inputs, outputs, 1, stride))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, images):
        return self.relu(self.body(images) + self.shortcut(images))


def resnet50():
    layers = [*convolution(3, 64, 7, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    inputs = 64
    for width, blocks, stride in [(64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)]:
        for block in range(blocks):
            layers.append(Bottleneck(inputs, width, stride if block == 0 else 1))
            inputs = 4 * width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, LABELS))


def step_in(layout):
    """Returns a function that does one training step in this memory layout."""
    torch.manual_seed(1)
    network = resnet50().train().to(memory_format=layout)
    images = torch.randn(BATCH, 3, SIDE, SIDE).to(memory_format=layout)
    targets = torch.randint(0, 2, (BATCH, LABELS)).float()
    loss = nn.BCEWithLogitsLoss(pos_weight=torch.full((LABELS,), 2.0))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss(network(images), targets).backward()
        optimizer.step()

    return step


def trial(step):
    """Returns the processor seconds of a second step: the first one allocates."""
    step()
    begun = time.process_time()
    step()
    return time.process_time() - begun


def main():
    options = arguments(__doc__).parse_args()
    torch.set_num_threads(options.threads)
    step = min((step_in(layout) for layout in (torch.contiguous_format, torch.channels_last)), key=trial)
    measure(f"ResNet-50, batch {BATCH}, {SIDE} px", step, options.repeats, options.threads)


main()
