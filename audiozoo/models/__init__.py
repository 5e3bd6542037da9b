"""The models, one file for each family; the registry finds them by importing what lies here."""
