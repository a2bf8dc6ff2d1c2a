# Says to editors that the folder is part of the package in ../../fastrec; Python itself does not read it.
