"""Which of many answers are worth training on: verdicts, filters, and a funnel that says what fell where.

Stands between the sampling and SFT (DeepSeek-R1 [arXiv v1, 2.3.3; Nature]: several answers a question, only correct
ones kept; mixed languages, long paragraphs and code blocks in the reasoning dropped).
"""
