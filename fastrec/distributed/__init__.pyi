from .reading import read_interactions as read_interactions
from .scoring import score_on_spark as score_on_spark
from .spark_als import SparkImplicitALS as SparkImplicitALS
