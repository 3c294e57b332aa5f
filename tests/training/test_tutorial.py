import json
import re
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from models.card import Evaluation
from tests.support.training import run_training
from training.data import Mnist, read_mnist
from training.evaluate import evaluate_probabilities
from training.fit import Fit, History
from training.recipes import RECIPES
from training.tutorial import drawn_weights, fit_one_batch, verdict

STEP = re.compile(r"^step (\d+) loss (\S+) accuracy (\S+)$", re.MULTILINE)
TUTORIAL = RECIPES["tutorial"]


def trajectory_in_tensorflow(seed: int, steps: int) -> tuple[list[float], list[float]]:
    """Run the tutorial in the operations that it is written in; return loss and accuracy after 0, 1, … `steps` updates."""
    images, one_hot = read_mnist(seed=seed).train.next_batch(100)
    x, y = tf.constant(images, tf.float32) / 255, tf.constant(one_hot)
    weights, biases = (tf.Variable(tf.constant(values)) for values in drawn_weights(seed))
    losses, accuracies = [], []
    for _ in range(steps + 1):
        with tf.GradientTape() as tape:
            logits = tf.matmul(x, weights) + biases
            loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=y, logits=logits))
        right = tf.equal(tf.argmax(logits, 1), tf.argmax(y, 1))
        losses.append(float(loss))
        accuracies.append(float(tf.reduce_mean(tf.cast(right, tf.float32))))
        for variable, gradient in zip((weights, biases), tape.gradient(loss, (weights, biases)), strict=True):
            variable.assign_sub(0.01 * tf.convert_to_tensor(gradient))
    return losses, accuracies


@pytest.mark.parametrize("seed", [0, 1])
def test_it_follows_the_trajectory_of_the_tensorflow_operations_it_is_written_in(seed: int):
    fitted = fit_one_batch(replace(TUTORIAL, epochs=200, seed=seed), read_mnist(seed=seed).train)
    losses, accuracies = trajectory_in_tensorflow(seed, steps=200)
    difference = np.abs(np.subtract(fitted.history.train_loss, losses)).max()
    print(f"seed {seed}: largest difference of a loss over 200 steps {difference:.1e}")
    assert len(fitted.history.train_loss) == 201
    assert difference <= 1e-4
    np.testing.assert_allclose(fitted.history.train_accuracy, accuracies, atol=1e-6)


@pytest.fixture(scope="module")
def fitted(mnist: Mnist) -> Fit:
    return fit_one_batch(replace(TUTORIAL, epochs=3), read_mnist().train)


def test_the_loss_is_the_mean_cross_entropy_computed_by_hand_and_step_0_is_untrained(fitted: Fit):
    images, one_hot = read_mnist().train.next_batch(100)
    weights, biases = (values.astype(np.float64) for values in drawn_weights(0))
    logits = images / 255 @ weights + biases
    log_sum = np.log(np.exp(logits - logits.max(axis=1, keepdims=True)).sum(axis=1)) + logits.max(axis=1)
    assert fitted.history.train_loss[0] == pytest.approx(np.mean(log_sum - (logits * one_hot).sum(axis=1)), abs=1e-4)
    assert fitted.history.train_accuracy[0] == pytest.approx(np.mean(logits.argmax(axis=1) == one_hot.argmax(axis=1)))


def test_the_start_is_drawn_from_a_normal_distribution_of_mean_0_and_deviation_1():
    weights, biases = drawn_weights(0)
    assert (weights.shape, biases.shape, weights.dtype, biases.dtype) == ((784, 10), (10,), np.float32, np.float32)
    assert abs(weights.mean()) < 0.04
    assert abs(weights.std() - 1) < 0.03


def test_another_seed_is_another_start_and_another_batch(fitted: Fit):
    other = fit_one_batch(replace(TUTORIAL, epochs=3, seed=1), read_mnist(seed=1).train)
    assert other.history.train_loss[0] != fitted.history.train_loss[0]


def verdict_on(trained: float, test: float, evaluation: Evaluation) -> str:
    history = History((0.5,), (trained,), (), ())
    return verdict(history, TUTORIAL, evaluation.model_copy(update={"accuracy": test, "images": 10_000}))


def test_the_verdict_says_why_the_batch_is_read_better_and_only_where_it_is():
    measured = evaluate_probabilities(np.full((10, 10), 0.1, np.float32), np.arange(10, dtype=np.uint8))
    better = verdict_on(0.43, 0.2137, measured)
    assert better.startswith("Accuracy is 43.00% on the 100 images of the batch, and 21.37% on the 10,000 test digits. ")
    assert "The two differ because every step follows the 100 images of the batch alone; " in better
    for test in (0.1, 0.12):
        other = verdict_on(0.1, test, measured)
        assert "differ because" not in other
        assert other.endswith("no worse than the batch, so nothing shows that it was learned by heart.")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory):
    home = tmp_path_factory.mktemp("tutorial")
    finished = run_training(home, "--recipe", "tutorial")
    assert finished.returncode == 0, finished.stderr
    return finished, home


def test_every_step_is_said_on_standard_output_from_0_to_100(run):
    steps = STEP.findall(run[0].stdout)
    assert [int(number) for number, _, _ in steps] == list(range(101))
    losses = [float(loss) for _, loss, _ in steps]
    assert losses[-1] < losses[0]
    assert all(0 <= float(accuracy) <= 1 for _, _, accuracy in steps)


def test_it_ends_with_the_test_accuracy_and_why_it_is_another(run):
    result = json.loads(run[0].stdout.splitlines()[-1])
    words = " ".join(run[0].stdout.split())
    assert f"{result['test_accuracy']:.2%} on the 10,000 test digits" in words
    assert "The two differ because" in words


def test_it_is_not_published_and_that_is_no_failure(run):
    finished, home = run
    result = json.loads(finished.stdout.splitlines()[-1])
    assert result["model"] is None
    assert result["refused"] == "tutorial learns from 100 images alone, to show how"
    assert "use --force to publish it anyway" in finished.stderr
    assert not (home / "models" / "digit-classifier").exists()


@pytest.mark.slow
def test_steps_and_seed_can_be_chosen_and_force_publishes(tmp_path):
    finished = run_training(tmp_path, "--recipe", "tutorial", "--steps", "7", "--seed", "3", "--force")
    assert finished.returncode == 0, finished.stderr
    assert [int(number) for number, _, _ in STEP.findall(finished.stdout)] == list(range(8))
    result = json.loads(finished.stdout.splitlines()[-1])
    assert (result["seed"], result["epochs"], result["refused"]) == (3, 7, None)
    assert result["model"].startswith("digit-classifier:")


def test_quiet_leaves_the_last_line_alone(tmp_path):
    finished = run_training(tmp_path, "--recipe", "tutorial", "--steps", "2", "--quiet")
    assert len(finished.stdout.splitlines()) == 1
