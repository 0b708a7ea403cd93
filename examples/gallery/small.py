"""Settings with which each example takes seconds: for tests, and to try the gallery out."""

from typing import Any

SETTINGS: dict[str, dict[str, Any]] = {
    "characters": {"characters": 4000, "epochs": 1, "written": 5},
    "custom_loss": {"samples": 100, "epochs": 2},
    "custom_module": {"epochs": 2},
    "data_parallel": {"samples": 200, "epochs": 1},
    "denoise": {"samples": 200, "epochs": 1},
    "digit_pairs": {"seeds": 2, "pairs": 60, "epochs": 2},
    "disc": {"points": 60, "epochs": 2},
    "dying_relu": {"points": 100, "epochs": 3},
    "export": {"samples": 100, "epochs": 1},
    "gan": {"points": 256, "epochs": 2},
    "kill_and_resume": {"epochs": 3, "seconds": 0.0},
    "larger_than_memory": {"samples": 50_000, "limited": False},
    "learning_rate": {"points": 100, "epochs": 2},
    "look_inside": {"points": 64, "epochs": 2},
    "mnist": {"epochs": 1, "samples": 200},
    "moving": {"steps": 2, "batch_size": 8},
    "regression": {"epochs": 3},
    "sorting": {"samples": 200, "epochs": 1},
    "tabular": {"samples": 200, "epochs": 2},
    "tensorboard_tour": {"samples": 500, "epochs": 1},
    "two_heads": {"samples": 200, "epochs": 2},
}
READS_MNIST = {"data_parallel", "denoise", "digit_pairs", "export", "mnist", "tensorboard_tour"}
