"""Train SubSpectralNet as published: 40 mel bands in three overlapping sub-bands with an auxiliary output each.

    python examples/subspectralnet_as_published.py DCASE2018/

The folder contains the unpacked development set of TUT Urban Acoustic Scenes 2018. As in the paper, training takes 200 epochs
of Adam at 1e-3 with batches of 16. Unlike the paper, which chooses the best epoch on the test fold, the script chooses it on
30 % of the training locations.
"""

import sys
from dataclasses import replace

import audiozoo
from audiozoo.crossval import fold_jobs, run_fold


def main(root, epochs=200):
    data = audiozoo.load_dataset("dcase2018", root=root)
    spec = audiozoo.model_info("subspectralnet")
    model = audiozoo.build("subspectralnet", 10, input_shape=spec.frontend.shape, auxiliary=True)
    print(f"{model.count_params():,} parameters, {len(model.outputs)} outputs, input {spec.frontend.shape}")

    recipe = replace(data.protocol(audiozoo.recipe_for("subspectralnet")), epochs=epochs, min_steps=0, patience=None)
    [job] = fold_jobs(data, "subspectralnet", recipe=recipe, auxiliary=True)
    row, classifier = run_fold(job)
    print(f"macro accuracy {100 * row.measures.macro_accuracy:.1f} % on {row.test_clips} clips of fold 1")
    return classifier


if __name__ == "__main__":
    main(sys.argv[1])
