"""The estimate of a packaged experiment, with its own data and objective."""

from ahs_seg.configs import find_config
from ahs_seg.experiments.estimate import estimate_experiment
from ahs_seg.experiments.experiment import Experiment


def test_an_experiment_tells_what_it_needs():
    experiment = Experiment.read(find_config("quickstart/cat_seg"))
    experiment = experiment.replace(training=experiment.training.replace(names_per_step=4))
    found = estimate_experiment(experiment)
    assert found.batch == experiment.training.batch_size
    assert found.recomputed is not None
    assert 0 < found.recomputed.of(4) < found.kept.of(4)
    assert 0 < found.optimizer < 3 * found.weights
