"""How much a case and a customer may have here: rules, and what they say of one case. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from mft.casematch import CaseMatch


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaRule(CaseMatch):
    """One rule; what is None is not looked at, or is as the rules' defaults say. The first that fits decides.

    What it says of a customer counts only where it looks at the customer and nothing else: all cases of a customer
    share that one quota.
    """

    case_bytes: int | None = None
    case_files: int | None = None
    customer_bytes: int | None = None
    customer_files: int | None = None
    reason: str = ""

    @property
    def is_of_customers(self) -> bool:
        """Whether it looks at nothing but the customer."""
        return self.case is None and self.kind is None and self.classification is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What one case, and its customer's cases together, may have; None: any amount."""

    case_bytes: int | None = None
    case_files: int | None = None
    customer_bytes: int | None = None
    customer_files: int | None = None

    @property
    def of_case(self) -> bool:
        """Whether the case has a limit."""
        return self.case_bytes is not None or self.case_files is not None

    @property
    def of_customer(self) -> bool:
        """Whether the customer has a limit."""
        return self.customer_bytes is not None or self.customer_files is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaRules:
    """The defaults, and the rules that come before them."""

    default: Quota = Quota()
    rules: tuple[QuotaRule, ...] = ()

    def of(self, *, customer: str, case: str, kind: str | None, classification: str | None) -> Quota:
        """Say what a case and its customer may have."""
        rule = next(
            (
                each
                for each in self.rules
                if each.fits(customer=customer, case=case, kind=kind, classification=classification)
            ),
            QuotaRule(),
        )
        shared = self.of_customer(customer)
        default = self.default
        return Quota(
            case_bytes=default.case_bytes if rule.case_bytes is None else rule.case_bytes,
            case_files=default.case_files if rule.case_files is None else rule.case_files,
            customer_bytes=shared.customer_bytes,
            customer_files=shared.customer_files,
        )

    def of_customer(self, customer: str) -> Quota:
        """Say what a customer's cases may have together."""
        own = (each for each in self.rules if each.is_of_customers)
        fits = (each for each in own if each.fits(customer=customer, case="", kind=None, classification=None))
        rule = next(fits, QuotaRule())
        default = self.default
        return Quota(
            customer_bytes=default.customer_bytes if rule.customer_bytes is None else rule.customer_bytes,
            customer_files=default.customer_files if rule.customer_files is None else rule.customer_files,
        )
