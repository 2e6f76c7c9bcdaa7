"""Small files in the published formats, written by hand from their documentation. Nobody in them is real."""

from collections.abc import Mapping
from io import BytesIO

from screening.lists.published import NamedFile

SDN_XML = """<?xml version="1.0" standalone="yes"?>
<sdnList xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns="http://tempuri.org/sdnList.xsd">
  <publshInformation><Publish_Date>11/20/2026</Publish_Date><Record_Count>4</Record_Count></publshInformation>
  <sdnEntry>
    <uid>101</uid><firstName>Tarik</firstName><lastName>OSMANOW</lastName><sdnType>Individual</sdnType>
    <remarks>Made up.</remarks>
    <programList><program>SDGT</program><program>NPWMD</program></programList>
    <akaList>
      <aka><uid>1</uid><type>a.k.a.</type><category>strong</category><lastName>USMANOV</lastName>
        <firstName>Tariq</firstName></aka>
      <aka><uid>2</uid><type>a.k.a.</type><category>weak</category><lastName>THE TAILOR</lastName></aka>
    </akaList>
    <addressList><address><uid>3</uid><city>Elbonia City</city><country>Elbonia</country></address></addressList>
    <nationalityList><nationality><uid>4</uid><country>Freedonia</country><mainEntry>true</mainEntry></nationality>
    </nationalityList>
    <dateOfBirthList>
      <dateOfBirthItem><uid>5</uid><dateOfBirth>12 May 1960</dateOfBirth><mainEntry>true</mainEntry></dateOfBirthItem>
      <dateOfBirthItem><uid>6</uid><dateOfBirth>circa 1961</dateOfBirth><mainEntry>false</mainEntry></dateOfBirthItem>
      <dateOfBirthItem><uid>7</uid><dateOfBirth>Spring 1961</dateOfBirth><mainEntry>false</mainEntry></dateOfBirthItem>
    </dateOfBirthList>
  </sdnEntry>
  <sdnEntry>
    <uid>102</uid><lastName>ZVEZDA TRADE &amp; SONS LLC</lastName><sdnType>Entity</sdnType>
    <programList><program>CYBER2</program></programList>
  </sdnEntry>
  <sdnEntry>
    <uid>103</uid><lastName>AURORA 3</lastName><sdnType>Vessel</sdnType>
    <programList><program>CYBER2</program></programList>
    <vesselInfo><callSign>XXXX</callSign></vesselInfo>
  </sdnEntry>
  <sdnEntry>
    <uid>104</uid><lastName> </lastName><sdnType>Entity</sdnType><programList><program>CYBER2</program></programList>
  </sdnEntry>
</sdnList>
"""

SDN_CSV = """\
101,"OSMANOW, Tarik","individual","SDGT] [NPWMD",-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,"DOB 12 May 1960; alt. DOB 1961; \
POB Elbonia City, Elbonia; nationality Freedonia; a.k.a. 'THE TAILOR'."
102,"ZVEZDA TRADE & SONS LLC",-0- ,"CYBER2",-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0-
103,"AURORA 3","vessel","CYBER2",-0- ,"XXXX",-0- ,-0- ,-0- ,-0- ,-0- ,-0-
\x1a
"""
ALT_CSV = """\
101,1,"aka","USMANOV, Tariq",-0-
102,2,"fka","ZTS",-0-
999,3,"aka","NOBODY",-0-
\x1a
"""
ADD_CSV = """\
101,1,"1 Main Street","Elbonia City","Elbonia",-0-
102,2,-0- ,-0- ,"Freedonia",-0-
103,3,-0- ,-0- ,-0- ,-0-
\x1a
"""

UN_XML = """<?xml version="1.0" encoding="utf-8"?>
<CONSOLIDATED_LIST xmlns:xsd="http://www.w3.org/2001/XMLSchema" dateGenerated="2026-11-20T00:00:00.000Z">
  <INDIVIDUALS>
    <INDIVIDUAL>
      <DATAID>6900001</DATAID><VERSIONNUM>1</VERSIONNUM>
      <FIRST_NAME>TARIK</FIRST_NAME><SECOND_NAME>JUSUF</SECOND_NAME><THIRD_NAME>OSMANOW</THIRD_NAME>
      <UN_LIST_TYPE>Elbonia</UN_LIST_TYPE><REFERENCE_NUMBER>ELi.001</REFERENCE_NUMBER>
      <NAME_ORIGINAL_SCRIPT>طارق عثمانوف</NAME_ORIGINAL_SCRIPT>
      <NATIONALITY><VALUE>Elbonia</VALUE><VALUE>Freedonia</VALUE></NATIONALITY>
      <INDIVIDUAL_ALIAS><QUALITY>Good</QUALITY><ALIAS_NAME>Tariq Usmanov</ALIAS_NAME></INDIVIDUAL_ALIAS>
      <INDIVIDUAL_ALIAS><QUALITY>Low</QUALITY><ALIAS_NAME>The Tailor</ALIAS_NAME></INDIVIDUAL_ALIAS>
      <INDIVIDUAL_ALIAS><QUALITY/><ALIAS_NAME/></INDIVIDUAL_ALIAS>
      <INDIVIDUAL_ALIAS><QUALITY>Good</QUALITY><ALIAS_NAME/></INDIVIDUAL_ALIAS>
      <INDIVIDUAL_ADDRESS><COUNTRY>Elbonia</COUNTRY></INDIVIDUAL_ADDRESS>
      <INDIVIDUAL_DATE_OF_BIRTH><TYPE_OF_DATE>EXACT</TYPE_OF_DATE><DATE>1960-05-12</DATE></INDIVIDUAL_DATE_OF_BIRTH>
      <INDIVIDUAL_DATE_OF_BIRTH><TYPE_OF_DATE>BETWEEN</TYPE_OF_DATE><FROM_YEAR>1958</FROM_YEAR><TO_YEAR>1962</TO_YEAR>
      </INDIVIDUAL_DATE_OF_BIRTH>
      <INDIVIDUAL_DATE_OF_BIRTH/>
    </INDIVIDUAL>
  </INDIVIDUALS>
  <ENTITIES>
    <ENTITY>
      <DATAID>6900002</DATAID><FIRST_NAME>ZVEZDA TRADE</FIRST_NAME><UN_LIST_TYPE>Elbonia</UN_LIST_TYPE>
      <ENTITY_ALIAS><QUALITY>a.k.a.</QUALITY><ALIAS_NAME>ZT</ALIAS_NAME></ENTITY_ALIAS>
      <ENTITY_ADDRESS><CITY>Elbonia City</CITY><COUNTRY>Elbonia</COUNTRY></ENTITY_ADDRESS>
    </ENTITY>
  </ENTITIES>
</CONSOLIDATED_LIST>
"""

EU_XML = """<?xml version="1.0" encoding="UTF-8"?>
<export xmlns="http://eu.europa.ec/fpi/fsd/export" generationDate="2026-11-20T10:00:00.000+01:00" globalFileId="1">
  <sanctionEntity designationDetails="" unitedNationId="" euReferenceNumber="EU.1.1" logicalId="13">
    <remark>Made up.</remark>
    <regulation regulationType="amendment" programme="ELB" logicalId="1"/>
    <regulation regulationType="regulation" programme="ELB" logicalId="2"/>
    <subjectType code="person" classificationCode="P"/>
    <nameAlias firstName="" middleName="" lastName="" wholeName="The Tailor" strong="false"/>
    <nameAlias firstName="Tarik" middleName="" lastName="Osmanow" wholeName="Tarik Osmanow" strong="true"/>
    <nameAlias firstName="Tariq" middleName="J." lastName="Usmanov" wholeName="" strong="true"/>
    <citizenship countryIso2Code="EL" countryDescription="ELBONIA" logicalId="6"/>
    <citizenship countryIso2Code="00" countryDescription="UNKNOWN" logicalId="7"/>
    <birthdate circa="false" birthdate="1960-05-12" year="1960" monthOfYear="5" dayOfMonth="12" logicalId="8"/>
    <birthdate circa="true" yearRangeFrom="1958" yearRangeTo="1962" logicalId="9"/>
  </sanctionEntity>
  <sanctionEntity euReferenceNumber="EU.2.1" logicalId="14">
    <regulation programme="FRD" logicalId="10"/>
    <subjectType code="enterprise" classificationCode="E"/>
    <nameAlias wholeName="Zvezda Trade" strong="true" logicalId="11"/>
    <address countryIso2Code="EL" logicalId="12"/>
  </sanctionEntity>
  <sanctionEntity euReferenceNumber="EU.3.1" logicalId="15">
    <subjectType code="enterprise" classificationCode="E"/>
  </sanctionEntity>
</export>
"""


def file(name: str, text: str) -> NamedFile:
    """The text as a file of this name."""
    return NamedFile(name, BytesIO(text.encode()))


def changed(text: str, changes: Mapping[str, str]) -> str:
    """The text with each of these replaced; each must be in it."""
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return text
