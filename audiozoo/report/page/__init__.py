"""The report as one HTML page."""

from audiozoo.report.page.document import html_report

__all__ = ["html_report"]
