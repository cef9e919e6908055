"""Words of published vocabularies that events are described with: ECS, FHIR R4, DICOM, HL7 purpose of use and v2.

Such a word identifies nobody, also where a patient happens to be called ``Read``; so :mod:`streams.privacy` lets it
pass, and a source may release it as it stands. Sources: ECS field reference (allowed values of ``event.*``), FHIR R4
resource list and ``restful-interaction``, DICOM PS3.16 CID 400 to 405, HL7 v3 ActReason below PurposeOfUse, HL7
v2's trigger events.
"""

from __future__ import annotations

from typing import Final

__all__ = ["PURPOSES", "RESOURCES", "WORDS"]

_ECS: Final = """
event alert metric state success failure unknown
api authentication configuration database driver email file host iam intrusion_detection library malware network
package process registry session threat vulnerability web
access admin allowed change connection creation deletion denied device end error group indicator info installation
protocol start user
"""

_INTERACTIONS: Final = """
read vread update patch delete history history-instance history-type history-system create search search-type
search-system capabilities transaction batch operation
"""

_ACTIONS: Final = """
login logout application-start application-stop attach detach node-authentication emergency-override-start
emergency-override-stop network-configuration security-configuration hardware-configuration software-configuration
restricted-function audit-stop audit-start object-security-change role-change user-security-change
remote-service-start remote-service-stop local-service-start local-service-stop
application-activity audit-log-used dicom-transfer-begin dicom-access dicom-transfer dicom-study-delete export import
network-entry order-record patient-record procedure-record query security-alert user-authentication
disclose consent-decision rest fhir AuthZ-Consent Disclosure
admit transfer discharge register pre-admit change-to-inpatient change-to-outpatient cancel-admit cancel-transfer
cancel-discharge swap link unlink merge move change-identifier query-response provenance atna hl7v2
"""

_DICOM: Final = [str(code) for code in (*range(110100, 110115), *range(110120, 110143), *range(110150, 110156))]

_PURPOSES: Final = """
PurposeOfUse HMARKT HOPERAT CAREMGT DONAT FRAUD GOV HACCRED HCOMPL HDECD HDIRECT HDM HLEGAL HOUTCOMS HPRGRP
HQUALIMP HSYSADMIN LABELING METAMGT MEMADMIN MILCDM PATADMIN PATSFTY PERFMSR RECORDMGT SYSDEV HTEST TRAIN HPAYMT
CLMATTCH COVAUTH COVERAGE ELIGDTRM ELIGVER ENROLLM MILDCRG REMITADV HRESCH BIORCH CLINTRCH CLINTRCHNPC
CLINTRCHPC PRECLINTRCH DSRCH POARCH TRANSRCH PATRQT FAMRQT PWATRNY SUPNWK PUBHLTH DISASTER THREAT TREAT CLINTRL
COC ETREAT BTG ERTREAT POPHLTH TREATDS PUBLICHEALTH
"""

#: HL7 v3 ActReason, every code below PurposeOfUse, and BTG, which profiles use for breaking the glass.
PURPOSES: Final = frozenset(_PURPOSES.split())

_RESOURCES: Final = """
Account ActivityDefinition AdverseEvent AllergyIntolerance Appointment AppointmentResponse AuditEvent Basic Binary
BiologicallyDerivedProduct BodyStructure Bundle CapabilityStatement CarePlan CareTeam CatalogEntry ChargeItem
ChargeItemDefinition Claim ClaimResponse ClinicalImpression CodeSystem Communication CommunicationRequest
CompartmentDefinition Composition ConceptMap Condition Consent Contract Coverage CoverageEligibilityRequest
CoverageEligibilityResponse DetectedIssue Device DeviceDefinition DeviceMetric DeviceRequest DeviceUseStatement
DiagnosticReport DocumentManifest DocumentReference EffectEvidenceSynthesis Encounter Endpoint EnrollmentRequest
EnrollmentResponse EpisodeOfCare EventDefinition Evidence EvidenceVariable ExampleScenario ExplanationOfBenefit
FamilyMemberHistory Flag Goal GraphDefinition Group GuidanceResponse HealthcareService ImagingStudy Immunization
ImmunizationEvaluation ImmunizationRecommendation ImplementationGuide InsurancePlan Invoice Library Linkage List
Location Measure MeasureReport Media Medication MedicationAdministration MedicationDispense MedicationKnowledge
MedicationRequest MedicationStatement MedicinalProduct MedicinalProductAuthorization
MedicinalProductContraindication MedicinalProductIndication MedicinalProductIngredient
MedicinalProductInteraction MedicinalProductManufactured MedicinalProductPackaged MedicinalProductPharmaceutical
MedicinalProductUndesirableEffect MessageDefinition MessageHeader MolecularSequence NamingSystem NutritionOrder
Observation ObservationDefinition OperationDefinition OperationOutcome Organization OrganizationAffiliation
Parameters Patient PaymentNotice PaymentReconciliation Person PlanDefinition Practitioner PractitionerRole
Procedure Provenance Questionnaire QuestionnaireResponse RelatedPerson RequestGroup ResearchDefinition
ResearchElementDefinition ResearchStudy ResearchSubject RiskAssessment RiskEvidenceSynthesis Schedule
SearchParameter ServiceRequest Slot Specimen SpecimenDefinition StructureDefinition StructureMap Subscription
Substance SubstanceNucleicAcid SubstancePolymer SubstanceProtein SubstanceReferenceInformation
SubstanceSourceMaterial SubstanceSpecification SupplyDelivery SupplyRequest Task TerminologyCapabilities
TestReport TestScript ValueSet VerificationResult VisionPrescription
"""

_OTHER_RELEASES: Final = """
ActorDefinition AdministrableProductDefinition ArtifactAssessment BiologicallyDerivedProductDispense Citation
ClinicalUseDefinition ConditionDefinition DeviceAssociation DeviceDispense DeviceUsage EncounterHistory EvidenceReport
FormularyItem GenomicStudy ImagingSelection Ingredient InventoryItem InventoryReport ManufacturedItemDefinition
MedicinalProductDefinition MolecularDefinition NutritionIntake NutritionProduct ObservationDefinition
PackagedProductDefinition Permission RegulatedAuthorization RequestOrchestration Requirements SubscriptionStatus
SubscriptionTopic SubstanceDefinition TestPlan Transport
BodySite Conformance DataElement DeviceComponent DeviceUseRequest DiagnosticOrder EligibilityRequest
EligibilityResponse ExpansionProfile ImagingManifest ImagingObjectSelection MedicationOrder OrderResponse
ProcedureRequest ProcessRequest ProcessResponse ReferralRequest Sequence ServiceDefinition
"""

#: Every resource type of FHIR R4, and those that R5, STU3 and DSTU2 have beside it.
RESOURCES: Final = frozenset(_RESOURCES.split()) | frozenset(_OTHER_RELEASES.split())

#: Every word that may leave ingest unexamined.
WORDS: Final = (
    frozenset(_ECS.split()) | set(_INTERACTIONS.split()) | set(_ACTIONS.split()) | set(_DICOM) | PURPOSES | RESOURCES
)
