"""Settings of models in the benchmarks, where they differ from the models' own: plain values, by dataset and model.

    audiozoo benchmark --dataset esc10 --root ESC-50/ --models lstm --recipes benchmarks/recipes.py

Each entry can have three parts: "recipe", the changed fields of the model's recipe; "options", options of its builder; and
"frontend", the changed fields of its frontend, or all of them with a "class". `audiozoo benchmark` reads the table without
running this file, so it can contain only literals. A model without an entry keeps its own settings.

The numbers of epochs are chosen so that a fold of ESC-10 takes about 20 minutes or less on two cores, estimated from the
training times in results/esc10-every-model: 320 clips, with a refit on all of them after the choice of the epoch. Models with
large convolutions train in half precision, which takes half of the time or less on a processor that computes in bfloat16. The
values have not been tuned, and none was chosen by its score on a test fold.
"""

RECIPES = {
    "esc10": {
        # These keep their own settings: feature_mlp, dcase2018_baseline, lstm, soundnet_cnn, soundnet_lstm.
        "house_cnn": {"recipe": {"mixed_precision": True}},
        "subspectralnet": {"recipe": {"mixed_precision": True}},
        "mel_cnn": {"recipe": {"mixed_precision": True}},
        # Its small initial weights take some epochs to grow, in which the loss stays as it is. With 15 epochs, its loss on
        # held-out clips was still falling; with a learning rate of 1e-3, the loss of one fold never began to fall.
        "freesound2018_baseline": {
            "recipe": {"epochs": 80, "learning_rate": 5e-4, "patience": 30, "refit": False, "mixed_precision": True}
        },
        "cldnn": {"recipe": {"epochs": 80, "patience": 25, "mixed_precision": True}},
        "joint_autoencoder": {"recipe": {"epochs": 60, "patience": 20, "refit": False}},
        "dcase_tutorial_cnn": {"recipe": {"epochs": 80, "patience": 25}},
        # Linear power is hard to learn from, so the networks of Audio-Classification-Models get decibels.
        "cldnn_attention": {
            "recipe": {"epochs": 30, "learning_rate": 5e-4, "patience": 10},
            "frontend": {"compression": "db"},
        },
        # ResNet50 takes 40 s an epoch. MobileNetV2 has a tenth of its weights.
        "resnet_lstm": {
            "recipe": {"epochs": 40, "learning_rate": 5e-4, "patience": 15, "refit": False, "mixed_precision": True},
            "options": {"backbone": "MobileNetV2"},
            "frontend": {"compression": "db"},
        },
        # Without a refit, twice as many epochs fit the time.
        "cnn_multichannel": {
            "recipe": {"epochs": 45, "learning_rate": 5e-4, "batch_size": 16, "refit": False, "mixed_precision": True}
        },
        "cnn_multichannel_attention": {
            "recipe": {"epochs": 40, "learning_rate": 5e-4, "batch_size": 16, "refit": False, "mixed_precision": True}
        },
        # Published with 2,000 epochs. Smaller batches give as many steps in fewer epochs, with a learning rate in proportion.
        "acdnet": {"recipe": {"epochs": 60, "batch_size": 16, "learning_rate": 0.025, "warmup": 3, "mixed_precision": True}},
        # Published with batches of 1,000 segments, which is more than the clips of ESC-10.
        "piczak_cnn": {"recipe": {"epochs": 60, "min_steps": 0, "batch_size": 32, "patience": 20, "mixed_precision": True}},
        "sb_cnn": {"recipe": {"epochs": 100, "min_steps": 0, "batch_size": 32, "mixed_precision": True}},
        # About 100 epochs of one random window of each clip. The published learning rate needs several times as many steps.
        "wave_cnn": {"recipe": {"min_steps": 1_000, "learning_rate": 5e-4, "patience": 40, "refit": False}},
        # Their own frontends see one second. With five seconds, 30 epochs take about 12 and 6 minutes on one core. The last
        # epoch counts, as no clips are held out to choose one. Half precision does not make these two faster.
        "bcresnet_3": {
            "recipe": {
                "epochs": 30,
                "min_steps": 0,
                "batch_size": 16,
                "optimizer": "adamw",
                "learning_rate": 3e-3,
                "validation": 0.0,
                "standardize": "band",
                "augment_wave": None,
                "augment_features": {
                    "class": "Compose",
                    "transforms": [{"class": "TimeRoll"}, {"class": "FilterAugment"}, {"class": "SpecAugment"}],
                },
                "mix": {"class": "Mixup", "alpha": 0.2},
            },
            "frontend": {
                "class": "LogMel",
                "sample_rate": 32_000,
                "duration": 5.0,
                "frames": 250,
                "n_fft": 1_024,
                "hop_length": 640,
                "n_mels": 64,
                "fmin": 40.0,
                "reference": "max",
                "pad": "repeat",
            },
        },
        # From random weights. Its own recipe fine-tunes published ones.
        "mn04": {
            "recipe": {
                "epochs": 80,
                "min_steps": 0,
                "batch_size": 16,
                "optimizer": "adamw",
                "learning_rate": 2e-3,
                "schedule": "cosine",
                "warmup": 3,
                "weight_decay": 0.02,
                "validation": 0.0,
                "augment_wave": None,
                "augment_features": {"class": "Compose", "transforms": [{"class": "TimeRoll"}, {"class": "SpecAugment"}]},
                "mix": {"class": "Mixup", "alpha": 0.2},
            },
            "options": {"activation": "softmax"},
        },
        "cp_mobile": {
            "recipe": {
                "epochs": 30,
                "min_steps": 0,
                "batch_size": 16,
                "learning_rate": 3e-3,
                "weight_decay": 0.02,
                "validation": 0.0,
                "augment_features": {
                    "class": "Compose",
                    "transforms": [{"class": "TimeRoll"}, {"class": "FilterAugment"}, {"class": "SpecAugment"}],
                },
                "mix": {"class": "Mixup", "alpha": 0.2},
            },
            "frontend": {
                "class": "LogMel",
                "sample_rate": 32_000,
                "duration": 5.0,
                "frames": 250,
                "n_fft": 2_048,
                "hop_length": 640,
                "n_mels": 128,
                "fmin": 40.0,
                "reference": "max",
                "pad": "repeat",
            },
        },
    },
    "esc50": {
        # A fold of the recipe in full, with its 100 epochs and the refit, would take an hour and a half.
        "house_cnn": {"recipe": {"epochs": 40, "refit": False, "mixed_precision": True}},
        # Five times as many clips: an epoch takes five times as long and has five times as many steps. Without a refit, a fold
        # takes half of the time.
        "mel_cnn": {"recipe": {"epochs": 40, "patience": 12, "refit": False, "mixed_precision": True}},
        # Chosen on recordings held out from the training clips of fold 1. All training clips learn, for a fixed number
        # of epochs.
        "yamnet:finetune": {
            "recipe": {"epochs": 15, "validation": 0.0, "mix": {"class": "Mixup"}},
            "transfer": {"unfreeze": "layer1[0-4].*"},
        },
        "dcase2018_baseline": {"recipe": {"epochs": 40, "patience": 15, "refit": False}},
        "wave_cnn": {"recipe": {"min_steps": 2_000, "learning_rate": 5e-4, "patience": 10, "refit": False}},
    },
}
