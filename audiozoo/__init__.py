"""audiozoo: a model zoo of audio classifiers on Keras 3.

>>> import audiozoo
>>> audiozoo.list_models("*2018*")
['dcase2018_baseline', 'freesound2018_baseline']
"""

import lazy_loader

# The stub beside this file lists the public names; lazy_loader imports each of them on first use.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

del lazy_loader
