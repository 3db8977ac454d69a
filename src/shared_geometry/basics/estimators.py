"""scikit-learn's conventions for estimators, without importing scikit-learn."""

import inspect
from typing import Any, Self

from shared_geometry.errors import InputError


class Estimator:
    """Parameters that can be read, set, cloned and printed, as scikit-learn expects.

    A subclass stores each argument of its constructor under the argument's own name, unchanged,
    and ends the names of what it fits in an underscore; `sklearn.base.clone` then works on it.
    """

    @classmethod
    def _parameters(cls) -> dict[str, inspect.Parameter]:
        found = inspect.signature(cls.__init__).parameters
        return {name: parameter for name, parameter in found.items() if name != "self"}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Arguments of the constructor by name (``deep`` changes nothing: none is an estimator)."""
        return {name: getattr(self, name) for name in self._parameters()}

    def set_params(self, **params: Any) -> Self:
        """Change arguments of the constructor; what was fitted stays until the next fit."""
        known = self._parameters()
        for name, value in params.items():
            if name not in known:
                raise InputError(
                    f"{type(self).__name__} has no parameter {name!r}; it has {', '.join(known)}"
                )
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        changed = [
            f"{name}={getattr(self, name)!r}"
            for name, parameter in self._parameters().items()
            if getattr(self, name) is not parameter.default
            and getattr(self, name) != parameter.default
        ]
        return f"{type(self).__name__}({', '.join(changed)})"

    def __sklearn_tags__(self) -> Any:
        """What pipelines of scikit-learn 1.6 and later ask of a step."""
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(preserves_dtype=["float64", "float32"]),
            input_tags=InputTags(two_d_array=False, three_d_array=True),
        )

    def _check_fitted(self, attribute: str) -> None:
        if not hasattr(self, attribute):
            from sklearn.exceptions import NotFittedError

            raise NotFittedError(
                f"this {type(self).__name__} is not fitted yet; call fit before using it"
            )
