from hypothesis import settings

# A busy machine is no defect.
settings.register_profile("without_deadlines", deadline=None)
settings.load_profile("without_deadlines")
