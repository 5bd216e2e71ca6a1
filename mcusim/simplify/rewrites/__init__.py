"""The rewrites, one file each; see ``mcusim.simplify.registry``."""
