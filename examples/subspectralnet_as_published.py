"""SubSpectralNet as published: 40 mel bands in three overlapping sub-bands, each of them classified too.

    python examples/subspectralnet_as_published.py DCASE2018/

The folder is the unpacked TUT Urban Acoustic Scenes 2018, development set. Adam at 1e-3, batches of 16, 200 epochs, as the
authors; the epoch is chosen on 30 % of the training locations and not, as in the paper, on the test fold.
"""

import sys

import audiozoo
from audiozoo.crossval import fold_jobs, run_fold


def main(root, epochs=200):
    data = audiozoo.load_dataset("dcase2018", root=root)
    spec = audiozoo.model_info("subspectralnet")
    model = audiozoo.build("subspectralnet", 10, input_shape=spec.frontend.shape, auxiliary=True)
    print(f"{model.count_params():,} parameters, {len(model.outputs)} outputs, input {spec.frontend.shape}")

    recipe = audiozoo.recipe_for("subspectralnet", **{**data.protocol, "epochs": epochs, "min_steps": 0, "patience": None})
    [job] = fold_jobs(data, "subspectralnet", recipe=recipe, auxiliary=True)
    row, classifier = run_fold(job)
    print(f"macro accuracy {100 * row.measures.macro_accuracy:.1f} % on {row.test_clips} clips of fold 1")
    return classifier


if __name__ == "__main__":
    main(sys.argv[1])
