# OVERWRITTEN BY MISTAKE BY THE LEAD at 05:48: helper on the viewer, please write your decode.py again from your context.
