"""PyTorch's own Dataset and DataLoader, with workers, feed a training here."""

import numpy as np
import pytest

from autoconv import nn, optim, train

torch = pytest.importorskip("torch")


class Digits(torch.utils.data.Dataset):
    """Two classes of pictures: dark and bright."""

    def __init__(self, examples, broken=None):
        rng = np.random.default_rng(0)
        self.labels = rng.integers(0, 2, examples)
        self.images = (rng.uniform(0, 0.5, (examples, 1, 6, 6)) + self.labels[:, None, None, None] / 2).astype("f4")
        self.broken = broken

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        if i == self.broken:
            raise ValueError("picture 37 cannot be read")
        return torch.from_numpy(self.images[i]), int(self.labels[i])


def net():
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, rng=0, layout="channels_first"), nn.ReLU(), nn.Flatten(), nn.Linear(48, 2, rng=1)
    )


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_trains_as_its_arrays_do(workers):
    examples = Digits(96)
    loader = torch.utils.data.DataLoader(examples, batch_size=16, num_workers=workers)
    found = []
    for data in (loader, [(examples.images[i : i + 16], examples.labels[i : i + 16]) for i in range(0, 96, 16)]):
        model = net()
        history = train.fit(model, data, epochs=3, optimizer=optim.SGD(model.parameters(), lr=0.5), progress=False)
        found.append(history.loss)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5)
    assert found[0][-1] < found[0][0]


def test_a_worker_that_fails_says_so():
    loader = torch.utils.data.DataLoader(Digits(96, broken=37), batch_size=16, num_workers=2)
    model = net()
    with pytest.raises(train.TrainingError, match="picture 37 cannot be read"):
        train.fit(model, loader, epochs=1, optimizer=optim.SGD(model.parameters(), lr=0.5), progress=False)
