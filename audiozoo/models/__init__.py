"""The models of the zoo, one file for each family. The registry imports every module of this folder."""
