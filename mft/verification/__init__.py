"""Whether what the catalog says is there is there, whole, openable and nowhere else; and mending what is not.

Catalog, stores and keys are held against each other beside the running server. Nothing is believed on one look: what
seems wrong is looked at again once the catalog was asked again. Nothing is mended but from a copy that was read to its
end a moment before, and the last copy of anything is left alone whatever is wrong with it.
"""
