from .fitting import fit_on_spark as fit_on_spark
from .reading import read_interactions as read_interactions
from .scoring import score_on_spark as score_on_spark
from .spark_explicit_als import SparkExplicitALS as SparkExplicitALS
from .spark_implicit_als import SparkImplicitALS as SparkImplicitALS
