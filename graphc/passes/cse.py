"""Common subexpressions: values that are computed in the same way become one.

The driver does this in every pass, because it looks every node up by its structure. The pass alone
has no rules. 0.0 and -0.0, 1 and True and 1.0, and equal numbers of two dtypes stay apart; so do
two placeholders and two variables, whatever their names.
"""

from graphc.rewrite.rule import RuleTable

CSE = RuleTable()
